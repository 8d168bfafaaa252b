// Draws the newest snapshot. Names of events come from outside: they are only ever set as text.
'use strict'

const colours = ['#2f7ed8', '#e0862c', '#3a9d5d', '#c94a4a', '#8662c7', '#8a6a4f', '#d467a8', '#6f7a86', '#a5a11f', '#22a3b5']
const palette = new Map() // colour by event, in the order of first sight
const shown = 30
const element = id => document.getElementById(id)
const label = event => event.event || '(no event)'
const clock = text => new Date(text).toLocaleTimeString()

function colour (name) {
  if (!palette.has(name)) palette.set(name, colours[palette.size % colours.length])
  return palette.get(name)
}

function make (name, attributes, text) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  if (text !== undefined) node.textContent = text
  return node
}

function draw (windows) {
  const chart = element('chart')
  const width = chart.clientWidth
  const height = chart.clientHeight - 24
  const most = Math.max(1, ...windows.map(w => w.count))
  const step = Math.min(80, (width - 50) / Math.max(1, windows.length))
  const nodes = [make('line', { x1: 46, x2: width, y1: height, y2: height }), make('text', { x: 0, y: 12 }, most.toLocaleString())]
  windows.forEach((w, i) => {
    let top = height
    const bar = make('g', { class: w.open ? 'open' : 'closed' })
    for (const event of w.events) {
      const size = (height - 8) * event.count / most
      top -= size
      const part = make('rect', { x: 50 + i * step, y: top, width: Math.max(1, step - 4), height: size, fill: colour(label(event)) })
      part.append(make('title', {}, `${clock(w.start)} ${label(event)}: ${event.count.toLocaleString()}`))
      bar.append(part)
    }
    nodes.push(bar)
    if (i % Math.ceil(windows.length / 8) === 0) nodes.push(make('text', { x: 50 + i * step, y: height + 16 }, clock(w.start)))
  })
  chart.replaceChildren(...nodes)
}

function legend () {
  element('legend').replaceChildren(...[...palette].map(([name, value]) => {
    const item = document.createElement('li')
    const mark = make('svg', { viewBox: '0 0 1 1' })
    mark.append(make('rect', { width: 1, height: 1, fill: value }))
    item.append(mark, name)
    return item
  }))
}

function table (w) {
  element('table').hidden = !w
  if (!w) return
  element('table').caption.textContent = `${clock(w.start)} to ${clock(w.end)}${w.open ? ', still open' : ''}`
  element('table').tBodies[0].replaceChildren(...w.events.map(event => {
    const row = document.createElement('tr')
    const sums = (event.sums || []).map(sum => `${sum.amount} ${sum.currency}`).join(', ')
    for (const text of [label(event), event.count.toLocaleString(), event.late.toLocaleString(), sums]) row.insertCell().textContent = text
    return row
  }))
}

function show (text) {
  // Amounts stay as they are written: a number could not hold every one of them.
  const snapshot = JSON.parse(text.replace(/"amount":(-?[0-9.]+)/g, '"amount":"$1"'))
  const windows = snapshot.windows.slice(-shown)
  draw(windows)
  legend()
  table(windows.at(-1))
  element('empty').hidden = windows.length > 0
  const c = snapshot.counters
  element('counters').textContent = `Read ${c.read || 0}: ${c.counted || 0} counted, ${c.late || 0} late, ${c.not_json || 0} no JSON, ${c.empty || 0} without a value.`
}

let latest
const stream = new EventSource('stream')
stream.onopen = () => { element('state').textContent = 'live'; element('state').className = '' }
stream.onerror = () => { element('state').textContent = 'not connected; trying again'; element('state').className = 'lost' }
stream.onmessage = message => { latest = message.data; show(latest) }
addEventListener('resize', () => latest && show(latest))
