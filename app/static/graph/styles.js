// The style sheet of the shadow root. Adopted, so it needs no 'unsafe-inline' in a page's policy.
// A page may set any colour from outside: wfg-graph { --wfg-success: teal }, or by theme.colors.

const LIGHT = {
  success: '#1a7f37', failure: '#cf222e', running: '#9a6700', queued: '#59636e', skipped: '#6e7781', cancelled: '#57606a',
  node_bg: '#ffffff', node_border: '#d0d7de', text: '#1f2328', text_secondary: '#59636e', bg: '#ffffff',
  graph_bg: '#f6f8fa', edge: '#858e98', junction: '#656d76', highlight: '#0969da', selected: '#0969da',
  header_text: '#1f2328', header_trigger: '#59636e',
}
const DARK = {
  success: '#3fb950', failure: '#f85149', running: '#d29922', queued: '#9198a1', skipped: '#8b949e', cancelled: '#a0a8b1',
  node_bg: '#161b22', node_border: '#3d444d', text: '#e6edf3', text_secondary: '#9198a1', bg: '#0d1117',
  graph_bg: '#0d1117', edge: '#5f6872', junction: '#8b949e', highlight: '#58a6ff', selected: '#58a6ff',
  header_text: '#e6edf3', header_trigger: '#9198a1',
}
const CONTRAST = {
  success: '#006b1b', failure: '#b30000', running: '#7a4300', queued: '#3d3d3d', skipped: '#3d3d3d', cancelled: '#3d3d3d',
  node_bg: '#ffffff', node_border: '#000000', text: '#000000', text_secondary: '#1a1a1a', bg: '#ffffff',
  graph_bg: '#ffffff', edge: '#000000', junction: '#000000', highlight: '#0000ff', selected: '#0000ff',
  header_text: '#000000', header_trigger: '#1a1a1a',
}
const CONTRAST_DARK = {
  success: '#4dff6a', failure: '#ff9492', running: '#ffd033', queued: '#e0e0e0', skipped: '#e0e0e0', cancelled: '#e0e0e0',
  node_bg: '#000000', node_border: '#ffffff', text: '#ffffff', text_secondary: '#e6e6e6', bg: '#000000',
  graph_bg: '#000000', edge: '#ffffff', junction: '#ffffff', highlight: '#7ab8ff', selected: '#7ab8ff',
  header_text: '#ffffff', header_trigger: '#e6e6e6',
}
// The user's own colours: canvases get them too.
const FORCED = {
  success: 'CanvasText', failure: 'CanvasText', running: 'CanvasText', queued: 'CanvasText', skipped: 'GrayText',
  cancelled: 'GrayText', node_bg: 'Canvas', node_border: 'CanvasText', text: 'CanvasText', text_secondary: 'CanvasText',
  bg: 'Canvas', graph_bg: 'Canvas', edge: 'CanvasText', junction: 'CanvasText', highlight: 'Highlight',
  selected: 'Highlight', header_text: 'CanvasText', header_trigger: 'CanvasText',
}

const colors = (/** @type {Record<string, string>} */ values, scheme = 'light') =>
  `color-scheme: ${scheme};` + Object.entries(values).map(([key, value]) => `--${key}: var(--wfg-${key.replaceAll('_', '-')}, ${value});`).join('')
const forced = Object.entries(FORCED).map(([key, value]) => `--${key}: ${value} !important;`).join('')

const TEXT = `
:host { display: block; position: relative; height: 420px; min-height: 120px; contain: content; }
:host([hidden]) { display: none; }
* { box-sizing: border-box; }

.root { ${colors(LIGHT)} }
@media (prefers-color-scheme: dark) { .root { ${colors(DARK, 'dark')} } }
@media (prefers-contrast: more) { .root { ${colors(CONTRAST)} } }
@media (prefers-contrast: more) and (prefers-color-scheme: dark) { .root { ${colors(CONTRAST_DARK, 'dark')} } }
.root[data-scheme=light] { ${colors(LIGHT)} }
.root[data-scheme=dark] { ${colors(DARK, 'dark')} }
.root[data-scheme=contrast] { ${colors(CONTRAST)} }
.root[data-scheme=contrast-dark] { ${colors(CONTRAST_DARK, 'dark')} }
@media (forced-colors: active) { .root { ${forced} } }

.root {
  position: absolute; inset: 0; display: flex; flex-direction: column; overflow: hidden;
  background: var(--bg); color: var(--text); direction: ltr;
  font-family: var(--family, system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif);
  font-size: var(--size_name); line-height: 1.3;
}
.probe { position: absolute; visibility: hidden; forced-color-adjust: none; }

.header {
  flex: none; height: var(--header_height); padding: 0 16px; display: flex; align-items: center; gap: 8px;
  font-size: var(--size_header); border-bottom: 1px solid var(--node_border); overflow: hidden; white-space: nowrap;
}
.header[hidden] { display: none; }
.header b { color: var(--header_text); overflow: hidden; text-overflow: ellipsis; unicode-bidi: isolate; }
.header span { color: var(--header_trigger); overflow: hidden; text-overflow: ellipsis; unicode-bidi: isolate; }

.stage { position: relative; flex: 1; min-height: 0; overflow: hidden; background: var(--graph_bg); touch-action: none; cursor: grab; user-select: none; -webkit-user-select: none; }
.stage.panning { cursor: grabbing; }
.stage.banding { cursor: crosshair; }
.stage.on-edge { cursor: pointer; }
.stage:has(.item:focus-visible) { outline: 2px solid var(--highlight); outline-offset: -2px; }
canvas.paint { position: absolute; left: 0; top: 0; transform-origin: 0 0; pointer-events: none; }
.layer { position: absolute; left: 0; top: 0; width: 0; height: 0; transform-origin: 0 0; }
.stage.moving .layer, .stage.moving .paint { will-change: transform; }

.item {
  position: absolute; left: 0; top: 0; display: flex; align-items: center; gap: 8px; cursor: pointer; outline: none;
  padding: 0 var(--status_icon_margin); background: var(--node_bg); border: 1px solid var(--node_border);
  border-radius: var(--node_radius); contain: layout style; user-select: text; -webkit-user-select: text;
}
.item svg { flex: none; width: calc(2 * var(--status_icon_radius)); height: calc(2 * var(--status_icon_radius)); fill: currentColor; overflow: visible; }
.item .name { flex: 1; min-width: 0; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; line-height: 1.8; font-weight: 600; color: var(--text); unicode-bidi: isolate; text-align: start; }
.item .time { flex: none; font-size: var(--size_duration); color: var(--text_secondary); font-variant-numeric: tabular-nums; white-space: nowrap; }
.item .time:empty { display: none; }
.item[data-status=queued] svg { color: var(--queued); }
.item[data-status=running] svg { color: var(--running); }
.item[data-status=success] svg { color: var(--success); }
.item[data-status=failure] svg { color: var(--failure); }
.item[data-status=skipped] svg { color: var(--skipped); }
.item[data-status=cancelled] svg { color: var(--cancelled); }
.item[data-status=running] { border-color: var(--running); }
.item[data-status=failure] { border-color: var(--failure); }
.item[data-status=skipped] .name, .item[data-status=cancelled] .name { color: var(--text_secondary); }
.item.kept { border-style: dashed; }
.item:hover, .item.lit { border-color: var(--highlight); }
.item[aria-selected=true] { border-color: var(--selected); box-shadow: 0 0 0 1px var(--selected); }
.item:focus-visible { outline: calc(2px / min(1, var(--zoom))) solid var(--highlight); outline-offset: calc(2px / min(1, var(--zoom))); }
@media (prefers-reduced-motion: no-preference) {
  .item[data-status=running] > svg:first-of-type { animation: turn 1.6s linear infinite; }
  .stage.calm .item[data-status=running] > svg:first-of-type { animation: none; }
}
@keyframes turn { to { transform: rotate(1turn); } }

.item.group { box-shadow: 3px 3px 0 -1px var(--node_bg), 3px 3px 0 0 var(--node_border), 6px 6px 0 -1px var(--node_bg), 6px 6px 0 0 var(--node_border); }
.item.group[aria-selected=true] { box-shadow: 0 0 0 1px var(--selected); }
.item .fold { flex: none; width: 10px; color: var(--text_secondary); font-size: 10px; user-select: none; }
.item.frame { background: none; border: 0; padding: 0 8px; gap: 6px; border-radius: var(--node_radius) var(--node_radius) 0 0; }
.item.frame .name { color: var(--text_secondary); }
.item.frame:hover .name, .item.frame.lit .name { color: var(--text); }

.band { position: absolute; left: 0; top: 0; border: 1px solid var(--highlight); background: color-mix(in srgb, var(--highlight) 12%, transparent); pointer-events: none; }
.band[hidden] { display: none; }
.minimap { position: absolute; right: 12px; bottom: 12px; width: 160px; height: 100px; border: 1px solid var(--node_border); border-radius: 6px; background: var(--bg); cursor: crosshair; touch-action: none; }
.minimap[hidden] { display: none; }
.controls { position: absolute; left: 12px; bottom: 12px; display: flex; border: 1px solid var(--node_border); border-radius: 6px; overflow: hidden; background: var(--bg); }
.controls[hidden] { display: none; }
.controls button { width: 32px; height: 32px; padding: 8px; border: 0; background: none; color: var(--text); cursor: pointer; }
.controls button + button { border-left: 1px solid var(--node_border); }
.controls button:hover { background: var(--graph_bg); }
.controls button:focus-visible { outline: 2px solid var(--highlight); outline-offset: -3px; }
.controls svg { display: block; width: 16px; height: 16px; fill: currentColor; pointer-events: none; }
@media (pointer: coarse) { .controls button { width: 44px; height: 44px; padding: 14px; } }
.empty { position: absolute; inset: 0; display: grid; place-items: center; color: var(--text_secondary); pointer-events: none; }
.empty[hidden] { display: none; }
.item .spoken, .live { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; user-select: none; -webkit-user-select: none; }
@media (forced-colors: active) {
  .item[aria-selected=true] { outline: 2px solid Highlight; }
  .item svg, .controls svg { forced-color-adjust: none; }
}
@container (max-width: 480px) { .minimap { width: 96px; height: 60px; } }
:host { container-type: size; }
`

/** @type {CSSStyleSheet | undefined} */
let sheet

export function styleSheet() {
  if (!sheet) {
    sheet = new CSSStyleSheet()
    sheet.replaceSync(TEXT)
  }
  return sheet
}
