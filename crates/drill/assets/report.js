"use strict";
// Draws one report, or two beside each other. It asks no network: everything is in the page.

const reports = JSON.parse(document.getElementById("reports").textContent);
const page = document.getElementById("page");
const tip = document.getElementById("tip");
const SVG = "http://www.w3.org/2000/svg";

// Elements -----------------------------------------------------------------------------------------------------------

function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function card(title, note, ...children) {
  return html("section", { class: "card" }, html("h2", {}, title), html("p", { class: "soft" }, note), ...children);
}

function legend(entries) {
  const items = entries.map(([style, name]) => html("span", {}, html("i", { class: style }), name));
  return html("div", { class: "legend" }, ...items);
}

function explain(element, text) {
  element.addEventListener("mousemove", (event) => {
    tip.hidden = false;
    tip.textContent = text;
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY + 14}px`;
  });
  element.addEventListener("mouseleave", () => { tip.hidden = true; });
  return element;
}

// Numbers ------------------------------------------------------------------------------------------------------------

const count = (number) => number.toLocaleString("en");
const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

function time(ms) {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${Math.round(seconds % 60)} s`.replace(" 0 s", "");
  return `${Math.floor(seconds / 3600)} h ${Math.round(seconds / 60 % 60)} m`.replace(" 0 m", "");
}

function ticks(most, wanted) {
  const steps = [1, 2, 5].flatMap((step) => [...Array(8).keys()].map((power) => step * 10 ** power)).sort((a, b) => a - b);
  const step = steps.find((one) => most / one <= wanted) ?? most;
  return [...Array(Math.floor(most / step) + 1).keys()].map((index) => index * step);
}

function timeTicks(most, wanted) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400].map((seconds) => seconds * 1000);
  const step = steps.find((one) => most / one <= wanted) ?? most;
  return [...Array(Math.floor(most / step) + 1).keys()].map((index) => index * step);
}

// Charts over time ---------------------------------------------------------------------------------------------------

const LEFT = 44;
const RIGHT = 10;
const BOTTOM = 22;
const TOP = 16;

// All charts over time of one page have the same span, so that two of them can be compared at a glance.
const span = Math.max(...reports.map((one) => Math.max(one.report.took_ms, 1)));

function frame(width, height, report) {
  const inner = { width: width - LEFT - RIGHT, height: height - TOP - BOTTOM };
  const x = (ms) => LEFT + (ms / span) * inner.width;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  picture.append(svg("rect", { class: "back", x: LEFT, y: TOP, width: inner.width, height: inner.height }));
  for (const at of timeTicks(span, width / 110)) {
    picture.append(svg("line", { class: "grid", x1: x(at), x2: x(at), y1: TOP, y2: TOP + inner.height }));
    picture.append(svg("text", { x: x(at), y: height - 6, "text-anchor": at ? "middle" : "start" }, at ? time(at) : "0"));
  }
  const marks = () => {
    // What happened too close together to be written side by side is written in one.
    const told = [];
    for (const blow of report.misfortunes) {
      const at = x(blow.at_ms);
      picture.append(svg("line", { class: "blow", x1: at, x2: at, y1: TOP - 4, y2: TOP + inner.height }));
      const last = told.at(-1);
      if (last && at - last.at < 8 * last.what.length) last.what += `, ${blow.what}`;
      else told.push({ at, what: blow.what });
    }
    for (const { at, what } of told) picture.append(svg("text", { class: "mark", x: at + 3, y: TOP - 5 }, what));
  };
  return { picture, inner, x, marks, bottom: TOP + inner.height };
}

function scaleY(chart, most, wanted, name) {
  const y = (value) => chart.bottom - (value / most) * chart.inner.height;
  for (const value of ticks(most, wanted)) {
    chart.picture.append(svg("line", { class: "grid", x1: LEFT, x2: LEFT + chart.inner.width, y1: y(value), y2: y(value) }));
    chart.picture.append(svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, count(value)));
  }
  chart.picture.append(svg("title", {}, name));
  return y;
}

// Every stream is a row; its colour tells where it is.
function heat(report, width) {
  const { rows, states, column_ms: columnMs, streams_per_row: perRow } = report.heat;
  const rowHeight = Math.max(1, Math.min(9, Math.floor(460 / Math.max(rows.length, 1))));
  const gap = rowHeight > 4 ? 1 : 0;
  const chart = frame(width, TOP + BOTTOM + rows.length * rowHeight, report);
  const cells = svg("g", { "shape-rendering": "crispEdges" });
  rows.forEach((row, index) => {
    let at = 0;
    for (const [, letter, length] of row.matchAll(/([.a-z])(\d+)/g)) {
      const from = at * columnMs;
      at += Number(length);
      if (letter === ".") continue;
      const to = Math.min(at * columnMs, span);
      const state = letter.charCodeAt(0) - 97;
      const cell = svg("rect", {
        class: `s${state}`, x: chart.x(from), width: Math.max(chart.x(to) - chart.x(from), 0.5),
        y: TOP + index * rowHeight, height: rowHeight - gap,
      });
      const which = perRow === 1 ? `stream ${index + 1}` : `streams ${index * perRow + 1} to ${(index + 1) * perRow}`;
      cells.append(explain(cell, `${which}: ${states[state]}, ${time(from)} to ${time(to)}`));
    }
  });
  chart.picture.append(cells);
  for (const row of ticks(rows.length, 8).slice(1)) {
    chart.picture.append(svg("text", { x: LEFT - 6, y: TOP + row * rowHeight, "text-anchor": "end" }, count(row * perRow)));
  }
  chart.marks();
  return chart.picture;
}

function usedStates(all) {
  const letters = new Set(all.flatMap((one) => one.report.heat.rows.flatMap((row) => row.match(/[a-z]/g) ?? [])));
  const { states } = all[0].report.heat;
  return states.map((name, index) => [`s${index}`, name]).filter((_, index) => letters.has(String.fromCharCode(97 + index)));
}

function pool(report, width) {
  // After the last stream the drill waits for the places to come free; that is told by a number and not drawn.
  const samples = report.pool.filter((sample) => sample.at_ms <= span);
  const hard = Math.max(0, ...samples.map((sample) => sample.hard ?? 0));
  const chart = frame(width, 190, report);
  const most = Math.max(hard, ...poolPeaks(), 1) * 1.08;
  const y = scaleY(chart, most, 5, "places over time");
  const area = (value, style) => {
    const points = samples.map((sample, index) => {
      // Steps: a value holds until the next one is known.
      const next = samples[index + 1]?.at_ms ?? sample.at_ms;
      return `L${chart.x(sample.at_ms)} ${y(value(sample))}H${chart.x(Math.min(next, span))}`;
    });
    const first = chart.x(samples[0].at_ms);
    const last = chart.x(Math.min(samples.at(-1).at_ms, span));
    return svg("path", { class: style, d: `M${first} ${y(0)}${points.join("")}L${last} ${y(0)}Z` });
  };
  chart.picture.append(area((sample) => sample.in_flight, "pool"), area((sample) => sample.lingering, "linger"));
  const queue = samples.map((sample, index) => `${index ? "L" : "M"}${chart.x(Math.min(sample.at_ms, span))} ${y(sample.queue)}`);
  if (samples.some((sample) => sample.queue > 0)) chart.picture.append(svg("path", { class: "queue", d: queue.join("") }));
  if (hard) {
    chart.picture.append(svg("line", { class: "limit", x1: LEFT, x2: LEFT + chart.inner.width, y1: y(hard), y2: y(hard) }));
    chart.picture.append(svg("text", { class: "mark", x: LEFT + 4, y: y(hard) - 4 }, `hard limit ${hard}`));
  }
  chart.marks();
  return chart.picture;
}

function poolPeaks() {
  return reports.flatMap((one) => one.report.pool.map((sample) => Math.max(sample.in_flight, sample.queue)));
}

function refusals(report, width) {
  const chart = frame(width, 120, report);
  const most = Math.max(...reports.flatMap((one) => one.report.series.map((sample) => sample.refused)), 1);
  const y = scaleY(chart, most, 3, "refusals over time");
  const columnMs = report.heat.column_ms;
  for (const sample of report.series.filter((one) => one.refused > 0)) {
    const bar = svg("rect", {
      class: "bar bad", x: chart.x(sample.at_ms - columnMs / 2), width: Math.max(chart.x(columnMs) - LEFT - 0.5, 1),
      y: y(sample.refused), height: chart.bottom - y(sample.refused),
    });
    chart.picture.append(explain(bar, `${plural(sample.refused, "refusal", "refusals")} at ${time(sample.at_ms)}`));
  }
  chart.marks();
  return chart.picture;
}

// Histograms ---------------------------------------------------------------------------------------------------------

function histogram(times, width) {
  const height = 150;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const buckets = times.buckets;
  const first = buckets.findIndex(([, number]) => number > 0);
  const last = buckets.findLastIndex(([, number]) => number > 0);
  const shown = buckets.slice(Math.max(first - 1, 0), last + 2);
  const most = Math.max(...shown.map(([, number]) => number), 1);
  const inner = { left: 8, width: width - 16, bottom: height - 24 };
  const step = inner.width / Math.max(shown.length, 6);
  shown.forEach(([bound, number], index) => {
    const tall = number ? Math.max((number / most) * (inner.bottom - 10), 1.5) : 0;
    const bar = svg("rect", { class: "bar", x: inner.left + index * step, width: Math.max(step - 1, 1), y: inner.bottom - tall, height: tall });
    picture.append(explain(bar, `${count(number)} up to ${time(bound / 1000)}`));
    const every = Math.ceil(shown.length / (width / 80));
    if (index % every === 0) {
      picture.append(svg("text", { x: inner.left + (index + 1) * step, y: height - 7, "text-anchor": index ? "middle" : "start" }, time(bound / 1000)));
    }
  });
  picture.append(svg("line", { class: "axis", x1: inner.left, x2: inner.left + inner.width, y1: inner.bottom, y2: inner.bottom }));
  return picture;
}

function quantiles(times) {
  if (!times.count) return "nothing was measured";
  const part = (name, us) => `${name} ${time(us / 1000)}`;
  return [part("half below", times.p50_us), part("99 % below", times.p99_us), part("longest", times.max_us)].join(" · ");
}

// Words --------------------------------------------------------------------------------------------------------------

const VERDICTS = { held: "held", failed: "did not hold", invalid: "says nothing" };

// The one sentence that somebody who reads nothing else should read.
function said(report) {
  const sum = report.summary;
  if (report.verdict === "invalid") return report.invalid.join("; ");
  const wrong = violations(sum);
  if (wrong) return `${plural(wrong, "piece", "pieces")} of data came wrong: lost, doubled, mixed up, or cut without a sign.`;
  if (report.first_refusal) {
    const { stream, open, at_ms: at } = report.first_refusal;
    const away = sum.turned_away ? ` ${plural(sum.turned_away, "was", "were")} never let in.` : " All got in after clicking again.";
    return `Stream ${stream} was refused, ${time(at)} after the start, while ${open} were open; ${plural(sum.refused, "refusal", "refusals")} in all.${away}`;
  }
  const broken = sum.truncated + sum.failed + sum.stuck;
  if (broken) return `${plural(broken, "stream", "streams")} of ${count(sum.planned)} broke off, failed or never ended.`;
  const left = sum.left ? ` ${plural(sum.left, "was", "were")} left by their client.` : "";
  return `${count(sum.completed)} of ${count(sum.planned)} streams came to their end and nobody was refused; at most ${count(sum.open_max)} were open at once.${left}`;
}

function violations(sum) {
  return sum.lost + sum.doubled + sum.reordered + sum.foreign + sum.corrupt + sum.false_ends;
}

function facts(report) {
  const began = report.started_at.replace("T", " ").replace(/\.\d+Z$/, " UTC");
  const scale = report.time_scale === 1 ? "" : ` · ${report.time_scale} times faster`;
  const part = report.ending === "interrupted" ? " · interrupted: a part" : "";
  return `${report.target} · ${began} · took ${time(report.took_ms)}${scale} · seed ${report.seed}${part}`;
}

function tile(value, name, mood = "") {
  return html("div", { class: `tile ${mood}` }, html("b", {}, value), html("span", { class: "soft" }, name));
}

function tiles(report) {
  const sum = report.summary;
  const mood = (number) => (number ? "bad" : "good");
  const broken = sum.truncated + sum.failed + sum.stuck;
  const all = [
    tile(count(sum.completed), `of ${count(sum.planned)} streams completed`),
    tile(count(sum.refused), "refusals", mood(sum.refused)),
    tile(count(sum.turned_away), "turned away", mood(sum.turned_away)),
    tile(count(broken), "broken, failed, stuck", mood(broken)),
    tile(count(violations(sum)), "violations in bytes", mood(violations(sum))),
    tile(count(sum.open_max), "open at once, at most"),
  ];
  if (sum.leaked !== null) all.push(tile(count(sum.leaked), "places never given back", mood(sum.leaked)));
  return html("div", { class: "tiles" }, ...all);
}

function table(heads, rows) {
  const cell = (name) => (value) => html(name, {}, value);
  const head = html("tr", {}, ...heads.map(cell("th")));
  const body = rows.map((row) => html("tr", {}, ...row.map(cell("td"))));
  return html("div", { class: "wide" }, html("table", {}, html("thead", {}, head), html("tbody", {}, ...body)));
}

function thresholds(report) {
  const rows = report.thresholds.map((one) => [
    html("span", { class: one.held ? "yes" : "no" }, one.held ? "held" : "failed"),
    html("code", {}, one.threshold), one.measured ?? "not measured",
  ]);
  return card("What had to hold", "and what was measured", table(["", "threshold", "measured"], rows));
}

function troubles(report) {
  const cards = [];
  if (report.errors.length) {
    cards.push(card("Why streams failed", "", table(["times", "reason"], report.errors.map((one) => [count(one.count), one.reason]))));
  }
  if (report.violations.length) {
    const rows = report.violations.map((one) => [
      one.flaw.replace("_", " "), html("code", {}, one.stream), time(one.at_ms), count(one.offset), html("code", {}, one.detail),
    ]);
    cards.push(card("Bytes that were wrong", "offsets count bytes of the response's decoded body", table(["what", "stream", "at", "offset", "detail"], rows)));
  }
  return cards;
}

function honesty(report) {
  const own = report.generator;
  const rows = [
    ["planned starts late by (99 of 100)", time(own.start_lag_p99_ms)],
    ["timers late by (99 of 100)", time(own.tick_lag_p99_ms)],
    ["CPU of its threads", `${time(own.cpu_ms)} on ${plural(own.threads, "thread", "threads")}`],
    ["busiest second of a thread", `${Math.round(own.busiest * 100)} % of a core`],
    ["connections without a descriptor or port", count(own.starved)],
    ["reads and bytes", `${count(report.summary.chunks)} and ${count(report.summary.bytes)}`],
  ];
  return card("The drill itself", "when it is the bottleneck, the verdict says so", table(["", ""], rows));
}

// Pages --------------------------------------------------------------------------------------------------------------

const narrow = matchMedia("(max-width: 760px)").matches;
const WIDE = narrow ? 366 : 1240;
const HALF = narrow ? 366 : 600;
const THIRD = narrow ? 366 : 380;

const HEAT_NOTE = (report) => (report.heat.streams_per_row === 1
  ? "one row per stream, in the order of their planned start; time runs to the right"
  : `one row for ${report.heat.streams_per_row} streams, with the most worrying state of them; time runs to the right`);
const POOL_LEGEND = [["pool", "places taken"], ["linger", "of those, lingering unused"], ["queue", "waiting"], ["limit", "hard limit"]];

function badge(report) {
  return html("span", { class: `badge ${report.verdict}` }, VERDICTS[report.verdict]);
}

function single({ report }) {
  page.replaceChildren(
    html("div", { class: "top" }, html("h1", {}, `Drill: ${report.name}`), badge(report)),
    html("p", { class: "story" }, report.story),
    html("p", { class: "soft" }, facts(report)),
    html("p", { class: `said ${report.verdict}` }, said(report)),
    tiles(report),
    card("Streams over time", HEAT_NOTE(report), legend(usedStates(reports)), heat(report, WIDE)),
  );
  if (report.pool.length) page.append(card("The pool", "as the gateway tells it", legend(POOL_LEGEND), pool(report, WIDE)));
  if (report.summary.refused) page.append(card("Refusals", "answers 503 and 429 over time", refusals(report, WIDE)));
  const times = [["To the first byte", report.first_byte], ["Between two reads", report.gap], ["To the end", report.duration]];
  page.append(html("div", { class: "three" }, ...times.map(([name, one]) => card(name, quantiles(one), histogram(one, THIRD)))));
  page.append(html("div", { class: "pair" }, thresholds(report), honesty(report)), ...troubles(report));
}

function compareRows() {
  const rows = [
    ["verdict", (report) => VERDICTS[report.verdict]],
    ["streams completed", ({ summary }) => `${count(summary.completed)} of ${count(summary.planned)}`],
    ["refusals", ({ summary }) => count(summary.refused)],
    ["turned away", ({ summary }) => count(summary.turned_away)],
    ["broken, failed, stuck", ({ summary }) => count(summary.truncated + summary.failed + summary.stuck)],
    ["violations in bytes", ({ summary }) => count(violations(summary))],
    ["open at once, at most", ({ summary }) => count(summary.open_max)],
    ["to the first byte, half below", ({ first_byte: times }) => (times.count ? time(times.p50_us / 1000) : "–")],
    ["to the first byte, 99 % below", ({ first_byte: times }) => (times.count ? time(times.p99_us / 1000) : "–")],
    ["longest gap", ({ gap: times }) => (times.count ? time(times.max_us / 1000) : "–")],
  ];
  return rows.map(([name, value]) => [name, ...reports.map((one) => value(one.report))]);
}

function compare() {
  const [before, after] = reports.map((one) => one.report);
  const title = before.name === after.name ? `Drill: ${before.name}, before and after` : `Drill: ${before.name} and ${after.name}`;
  const each = (make) => html("div", { class: "pair" }, ...reports.map(make));
  const head = ({ label, report }) => html("section", { class: "card" },
    html("div", { class: "top" }, html("h2", {}, label), badge(report)),
    html("p", { class: "soft" }, facts(report)), html("p", { class: `said ${report.verdict}` }, said(report)));
  page.replaceChildren(html("h1", {}, title), html("p", { class: "story" }, before.story), html("p", {}, "\u00a0"), each(head));
  page.append(legend(usedStates(reports)));
  page.append(each(({ label, report }) => card(`Streams over time: ${label}`, HEAT_NOTE(report), heat(report, HALF))));
  if (reports.some((one) => one.report.pool.length)) {
    page.append(legend(POOL_LEGEND));
    page.append(each(({ label, report }) => card(`The pool: ${label}`, "as the gateway tells it",
      report.pool.length ? pool(report, HALF) : html("p", {}, "The admin listener was not asked."))));
  }
  if (reports.some((one) => one.report.summary.refused)) {
    page.append(each(({ label, report }) => card(`Refusals: ${label}`, plural(report.summary.refused, "answer", "answers"), refusals(report, HALF))));
  }
  page.append(card("Side by side", "", table(["", ...reports.map((one) => one.label)], compareRows())));
}

if (reports.length === 1) single(reports[0]);
else compare();
