// h() says what should be there, render() makes it so and keeps what is the same: focus, selection and scrolling stay.
// Text is text: nothing here takes HTML.

const SVG = 'http://www.w3.org/2000/svg'
const KIDS = Symbol('what was rendered into it')
const HANDLERS = Symbol('what it calls on events')
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'selected', 'hidden', 'indeterminate'])

/**
 * An element that should be there. `key` tells it from its siblings, `ref` is called with it once it is made, and `on…`
 * are its handlers. Without children, what others put into it stays.
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children, key: props?.key }
}

/** Make `parent` contain this: an element, text, nothing, or an array of these. */
export function render(parent, tree) {
  parent[KIDS] = patch(parent, parent[KIDS] ?? new Map(), flat([tree]))
}

/** Children by key. Those without one are known by their place, so what is left out does not move the others. */
function flat(children, prefix = '', found = new Map()) {
  children.forEach((child, place) => {
    if (child === null || child === undefined || child === false || child === true) return
    if (Array.isArray(child)) flat(child, `${prefix}${place}.`, found)
    else if (typeof child === 'object') found.set(`${prefix}${child.key ?? `#${place}`}`, child)
    else found.set(`${prefix}#${place}`, { tag: '#text', text: String(child) })
  })
  return found
}

function patch(parent, before, after) {
  for (const [key, old] of before) {
    if (after.get(key)?.tag !== old.tag) old.node.remove()
  }
  let cursor = parent.firstChild
  for (const [key, next] of after) {
    const old = before.get(key)
    next.node = old?.tag === next.tag ? old.node : made(parent, next)
    if (next.node === cursor) cursor = cursor.nextSibling
    else place(parent, next.node, cursor)
    if (next.tag === '#text') {
      if (next.node.data !== next.text) next.node.data = next.text
    } else {
      update(next, old?.node === next.node ? old.props : {})
      if (old?.node !== next.node) next.props.ref?.(next.node)
    }
  }
  return after
}

/** What is moved loses the focus, which is given back to it. */
function place(parent, node, before) {
  const focused = node.parentNode && node.contains(document.activeElement) ? document.activeElement : null
  parent.insertBefore(node, before)
  focused?.focus({ preventScroll: true })
}

function made(parent, { tag, text }) {
  if (tag === '#text') return document.createTextNode(text)
  const inSvg = tag === 'svg' || parent.namespaceURI === SVG
  return inSvg ? document.createElementNS(SVG, tag) : document.createElement(tag)
}

function update({ node, props, children }, before) {
  for (const name of Object.keys({ ...before, ...props })) {
    const value = props[name]
    if (name === 'key' || name === 'ref') continue
    if (name.startsWith('on')) listen(node, name.slice(2), value)
    else if (name === 'style') for (const [key, each] of Object.entries(value ?? {})) node.style.setProperty(key, each)
    else if (name === 'value' && node.tagName === 'SELECT') continue
    else if (PROPERTIES.has(name) && node.tagName !== 'OPTION') {
      if (before[name] !== value && node[name] !== value) node[name] = value ?? ''
    } else if (before[name] !== value) {
      if (value === null || value === undefined || value === false) node.removeAttribute(name)
      else node.setAttribute(name, value === true ? '' : value)
    }
  }
  if (children.length || node[KIDS]) render(node, children)
  // An option must be there before it is chosen.
  if (node.tagName === 'SELECT' && 'value' in props && before.value !== props.value) node.value = props.value
}

function listen(node, event, handler) {
  node[HANDLERS] ??= {}
  if (!(event in node[HANDLERS])) node.addEventListener(event, (happened) => node[HANDLERS][event]?.(happened))
  node[HANDLERS][event] = handler
}
