// Theme keys, merged over defaults. Colours live in the style sheet (light, dark, high contrast); here are those that
// the page sets, and, for the canvases, what all of them are at this moment.

export const COLORS = [
  'success', 'failure', 'running', 'queued', 'skipped', 'cancelled', 'node_bg', 'node_border', 'text', 'text_secondary',
  'bg', 'graph_bg', 'edge', 'junction', 'highlight', 'selected', 'header_text', 'header_trigger',
]
const FONTS = { family: '', size_name: 13, size_duration: 11, size_header: 14 }
const LAYOUT = {
  node_width: 200,
  node_height: 40,
  node_radius: 6,
  h_gap: 60,
  v_gap: 16,
  header_height: 0,
  padding: 40,
  junction_dot_radius: 3.5,
  status_icon_radius: 8,
  status_icon_margin: 12,
}

/**
 * @typedef {{color?: string, width?: number, dash?: number[]}} EdgeStyle
 * @typedef {object} Theme
 * @property {Record<string, string>} colors only those that were set
 * @property {typeof FONTS} fonts
 * @property {typeof LAYOUT} layout
 * @property {Record<string, EdgeStyle>} edge_styles by `from->to`
 * @property {unknown} labels
 * @property {'LeftToRight' | 'TopToBottom' | null} direction
 * @property {boolean | null} minimap null: for large graphs
 */

/** What is of a wrong type is left out, the rest counts. @param {any} given @returns {Theme} */
export function mergeTheme(given) {
  /** @type {Theme} */
  const theme = {
    colors: {},
    fonts: { ...FONTS },
    layout: { ...LAYOUT },
    edge_styles: {},
    labels: given?.labels,
    direction: readDirection(given?.direction),
    minimap: typeof given?.minimap === 'boolean' ? given.minimap : null,
  }
  for (const key of COLORS) {
    const color = given?.colors?.[key]
    if (typeof color === 'string' && CSS.supports('color', color)) theme.colors[key] = color
  }
  const fonts = given?.fonts
  if (typeof fonts?.family === 'string' && CSS.supports('font-family', fonts.family)) theme.fonts.family = fonts.family
  for (const key of /** @type {const} */ (['size_name', 'size_duration', 'size_header'])) {
    if (isSize(fonts?.[key])) theme.fonts[key] = fonts[key]
  }
  for (const key of /** @type {(keyof typeof LAYOUT)[]} */ (Object.keys(LAYOUT))) {
    if (isSize(given?.layout?.[key])) theme.layout[key] = given.layout[key]
  }
  for (const [key, style] of Object.entries(given?.edge_styles ?? {})) {
    theme.edge_styles[key] = {
      color: typeof style?.color === 'string' && CSS.supports('color', style.color) ? style.color : undefined,
      width: isSize(style?.width) ? style.width : undefined,
      dash: Array.isArray(style?.dash) && style.dash.every(isSize) ? style.dash : undefined,
    }
  }
  return theme
}

const isSize = (/** @type {any} */ value) => Number.isFinite(value) && value >= 0 && value <= 10000

/** @returns {'LeftToRight' | 'TopToBottom' | null} */
export function readDirection(/** @type {any} */ value) {
  if (['TopToBottom', 'top-to-bottom', 'TB'].includes(value)) return 'TopToBottom'
  return ['LeftToRight', 'left-to-right', 'LR'].includes(value) ? 'LeftToRight' : null
}

/** The theme's own colours, fonts and sizes, as properties of the root. @param {HTMLElement} root @param {Theme} theme */
export function applyTheme(root, theme) {
  const set = (/** @type {string} */ name, /** @type {string | undefined} */ value) =>
    value ? root.style.setProperty(name, value) : root.style.removeProperty(name)
  for (const key of COLORS) set(`--${key}`, theme.colors[key])
  set('--family', theme.fonts.family)
  for (const key of /** @type {const} */ (['size_name', 'size_duration', 'size_header'])) set(`--${key}`, `${theme.fonts[key]}px`)
  for (const [key, value] of Object.entries(theme.layout)) set(`--${key}`, `${value}px`)
}

/** What the colours are now, for canvases. @param {HTMLElement} probe @returns {Record<string, string>} */
export function readColors(probe) {
  /** @type {Record<string, string>} */
  const colors = {}
  for (const key of COLORS) {
    probe.style.color = `var(--${key})`
    colors[key] = getComputedStyle(probe).color
  }
  return colors
}
