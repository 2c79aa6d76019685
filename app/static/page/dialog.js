// Dialogs: the browser's own, which keep the focus inside and give it back.

import { mayAsk } from './api.js'
import { h, render } from './dom.js'
import { problem } from './parts.js'

/**
 * Ask, and act while the dialog is open: what goes wrong is said in it. Answers what `act` answered, or null.
 * fields: made anew each time; act(form): gets the values of the form, as an object; ofView: is closed with its view.
 */
export function ask({ title, text = null, fields = () => null, submit, danger = false, ofView = true, act }) {
  const dialog = document.createElement('dialog')
  if (ofView) dialog.dataset.ofView = ''
  dialog.setAttribute('aria-labelledby', 'dialog-title')
  document.body.append(dialog)
  let isBusy = false
  let error = null
  let answer = null

  async function submitted(event) {
    event.preventDefault()
    if (isBusy) return
    mayAsk()
    isBusy = true
    error = null
    draw()
    try {
      answer = await act(event.target.elements)
      dialog.close()
    } catch (caught) {
      error = caught
    }
    isBusy = false
    draw()
  }

  function draw() {
    const buttons = h(
      'div',
      { class: 'buttons' },
      h('button', { type: 'button', onclick: () => dialog.close() }, danger ? 'Back' : 'Cancel'),
      h(
        'button',
        { type: 'submit', class: danger ? 'danger' : 'primary', 'aria-disabled': isBusy ? 'true' : null },
        submit,
      ),
    )
    const head = h('h2', { id: 'dialog-title' }, title)
    render(
      dialog,
      h(
        'form',
        { onsubmit: submitted },
        head,
        text && h('p', null, text),
        fields(),
        error && problem(error, null),
        buttons,
      ),
    )
  }

  draw()
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(answer)
    })
  })
}

/** Another view is shown: what was asked for the one before is not asked any more. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll('dialog[data-of-view]')) dialog.close()
}

/** A labelled field. */
export function field(label, control, { hint = null, required = false } = {}) {
  return h(
    'label',
    { class: 'field', key: control.key },
    h('span', { class: 'field-label' }, label, required && h('span', { class: 'quiet' }, ' (required)')),
    control,
    hint && h('span', { class: 'field-hint' }, hint),
  )
}

export function reasonField() {
  return field('Reason', h('input', { name: 'reason', autocomplete: 'off', maxlength: 200 }), {
    hint: 'Kept, for others.',
  })
}

/** Why the token is asked for: the first time, or because the last one was not good. */
export function askToken(error) {
  const isFirst = error.message === 'token_missing'
  return ask({
    title: 'Token',
    text: isFirst
      ? 'This server wants a token. It is kept for this tab, until it is closed.'
      : `That token is not good: ${error.message}.`,
    submit: 'Continue',
    ofView: false,
    fields: () =>
      field(
        'Token',
        h('input', { name: 'token', type: 'password', autocomplete: 'off', required: true, spellcheck: 'false' }),
        {
          hint: 'wfg token create NAME --scope operator makes one; reader is enough to look.',
        },
      ),
    act: async ({ token }) => token.value.trim(),
  })
}
