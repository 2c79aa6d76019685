// One shape per status, in a box of 16: told apart without any colour.

/** @type {Record<import('./model.js').Status, string>} */
export const ICONS = {
  // a ring
  queued: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm0 1.8a5.2 5.2 0 1 0 0 10.4A5.2 5.2 0 0 0 8 2.8z',
  // three quarters of a ring round a dot; it turns
  running: 'M8 0a8 8 0 1 1-8 8h2.2A5.8 5.8 0 1 0 8 2.2zm0 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z',
  // a disc with a tick
  success: 'M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0zM3.4 8.4 6.9 12l5.8-6-1.4-1.3-4.4 4.6L4.8 7z',
  // an octagon with a cross
  failure:
    'M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7zM4.3 5.7 6.6 8l-2.3 2.3 1.4 1.4L8 9.4l2.3 2.3 1.4-1.4L9.4 8l2.3-2.3-1.4-1.4L8 6.6 5.7 4.3z',
  // two arrowheads
  skipped: 'M1.5 2.5 7.6 8l-6.1 5.5zM8.4 2.5 14.5 8l-6.1 5.5z',
  // a square with a bar
  cancelled: 'M3 1h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H3a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2zm1 5.9v2.2h8V6.9z',
}

export const CONTROL_ICONS = {
  zoom_in: 'M7.2 2h1.6v5.2H14v1.6H8.8V14H7.2V8.8H2V7.2h5.2z',
  zoom_out: 'M2 7.2h12v1.6H2z',
  fit: 'M2 2h4.5v1.6h-2.9v2.9H2zm7.5 0H14v4.5h-1.6V3.6H9.5zM2 9.5h1.6v2.9h2.9V14H2zm10.4 0H14V14H9.5v-1.6h2.9z',
}
