// import './graph.js' defines <wfg-graph>. How to use it: docs/graph.md.

import { WfgGraph } from './element.js'

if (!customElements.get('wfg-graph')) customElements.define('wfg-graph', WfgGraph)

export { WfgGraph }
