// Starting a run: a form made of the workflow's inputs.

import { get, nonce, path, post } from './api.js'
import { ask, field, reasonField } from './dialog.js'
import { h } from './dom.js'
import { link, name } from './parts.js'

/** Ask for its inputs, start it, and go to the run. */
export async function askAndStart(page, workflow) {
  if (page.isStarting) return
  page.isStarting = true
  page.problem = null
  let definition
  try {
    definition = await get(path`api/workflows/${workflow}`, { signal: page.signal })
  } catch (error) {
    if (page.signal.aborted) return
    page.problem = { error, again: () => askAndStart(page, workflow) }
    page.update()
    return
  } finally {
    page.isStarting = false
  }
  // One key for the same inputs: however often it is sent, it is one run.
  const keys = new Map()
  const started = await ask({
    title: `Start ${workflow}`,
    text: definition.paused ? 'It is paused: its jobs will wait until it is resumed.' : null,
    submit: 'Start',
    fields: () => [definition.inputs.map(control), reasonField()],
    act: (elements) => {
      const inputs = values(definition.inputs, elements)
      const reason = elements.reason.value.trim() || null
      const sent = JSON.stringify([inputs])
      if (!keys.has(sent)) keys.set(sent, nonce())
      return post(path`api/workflows/${workflow}/runs`, { inputs, reason, idempotency_key: keys.get(sent) })
    },
  })
  if (started) page.go(link`runs/${started.run_id}`)
}

/** Names of inputs may be anything, such as "reason" or "submit": fields have names of their own. */
const fieldName = (place) => `input-${place}`

function control(input, place) {
  const { type, required, options } = input
  const given = input.default ?? null
  const props = { name: fieldName(place), key: `input-${place}`, autocomplete: 'off' }
  const isDemanded = required && given === null
  let made
  if (type === 'boolean' && (given !== null || required)) {
    made = h('input', { ...props, type: 'checkbox', checked: given === true })
  } else if (type === 'boolean' || type === 'choice') {
    const choices = type === 'boolean' ? ['true', 'false'] : options.map(String)
    made = h(
      'select',
      { ...props, value: given === null ? '' : String(given), required: isDemanded },
      given === null && h('option', { value: '' }, isDemanded ? 'Choose…' : 'Not given'),
      choices.map((choice) => h('option', { value: choice, key: choice }, choice)),
    )
  } else if (type === 'number') {
    made = h('input', {
      ...props,
      type: 'number',
      step: 'any',
      value: given === null ? '' : String(given),
      required: isDemanded,
    })
  } else {
    made = h('textarea', { ...props, rows: 1, value: given === null ? '' : String(given), required: isDemanded })
  }
  return field(name(input.name), made, { hint: input.description && name(input.description), required: isDemanded })
}

/** What is left empty is not sent, unless that takes away a default. */
function values(inputs, elements) {
  const found = {}
  inputs.forEach((input, place) => {
    const element = elements[fieldName(place)]
    const given = input.default ?? null
    if (element.type === 'checkbox') found[input.name] = element.checked
    else if (element.value === '' && (given === null || given === '' || input.type !== 'string')) return
    else if (input.type === 'number') found[input.name] = Number(element.value)
    else if (input.type === 'boolean') found[input.name] = element.value === 'true'
    else found[input.name] = input.type === 'choice' ? chosen(input, element.value) : element.value
  })
  return found
}

/** Options may be numbers: what is sent is the option, not its text. */
function chosen(input, text) {
  return input.options.find((option) => String(option) === text)
}
