// Sorts interactions by the words in them, lets VIPs go first, and says when the desk is full.
//
// `configure` makes the state and `route` only reads it: every call starts from a fresh copy of what `configure` left.
// There is no clock but `request.now`, no randomness, no network and no files: the same request gets the same decision.
//
// Names are those of wit/strategy.wit in camelCase; an option that is empty is null, a variant is { tag, val }.

import log from "signalbox:strategy/log@1.1.0";
import statistics from "signalbox:strategy/statistics@1.1.0";
import tables from "signalbox:strategy/tables@1.1.0";

import { settingsSchema } from "./settings.js";

/** A VIP's interaction has at least this priority, of 1000. */
const VIP_PRIORITY = 900;

/** The settings, with each rule's words folded; null until `configure`. */
let settings = null;

/** What the strategy is. Asked before and after `configure`: rules add their outcomes. */
export function describe() {
  const outcomes = [
    { name: "no-match", description: "No rule found its words." },
    { name: "busy", description: "Too many wait, and it is not from a VIP." },
  ];
  for (const { outcome } of settings?.rules ?? []) {
    if (!outcomes.some((known) => known.name === outcome)) {
      outcomes.push({ name: outcome, description: "A rule found one of its words." });
    }
  }
  return {
    name: "{{name}}",
    version: "0.1.0",
    description: "Sorts by words, lets VIPs go first, and says when the desk is full.",
    outcomes,
    settingsSchema: JSON.stringify(settingsSchema),
    assets: [],
  };
}

/** Takes the settings, which fit the schema: the server has checked. What is thrown here, the operator reads. */
export function configure(text, assets) {
  const { rules, vip_table = "", busy = [] } = JSON.parse(text);
  for (const [at, rule] of rules.entries()) {
    rule.folded = rule.words.map(fold);
    const empty = rule.folded.indexOf(" ");
    if (empty >= 0) {
      throw new Error(`rule ${at + 1}: \`${rule.words[empty]}\` has neither letter nor digit`);
    }
  }
  log.write("info", `${rules.length} rules`);
  settings = { rules, vip_table, busy };
}

/**
 * Decides about one interaction. An expected failure is thrown as { tag: "unsuitable" | "missing" | "other", val };
 * any other exception is a bug, and ends the call as a trap.
 */
export function route({ interaction }) {
  const text = fold(`${interaction.subject ?? ""} ${interaction.body}`);
  if (text === " ") {
    throw { tag: "unsuitable", val: "there is no text to look for words in" };
  }

  const { rule, reason: why } = find(text);
  const actions = (rule?.attach ?? []).map((item) => ({ tag: "attach", val: item }));
  let outcome = rule?.outcome ?? "no-match";
  let priority = Math.max(interaction.priority, rule?.priority ?? 0);
  let reason = why;

  const level = vipLevel(interaction.sender);
  const full = level === null ? tooLong() : null;
  if (level !== null) {
    priority = Math.max(priority, VIP_PRIORITY);
    reason += `; VIP: ${level}`;
    actions.push({ tag: "attach", val: { key: "vip", value: level } });
  } else if (full) {
    outcome = "busy";
    reason += `; ${full.waiting} wait in \`${full.limit.queue}\`, more than ${full.limit.waiting}`;
  }
  if (priority > interaction.priority) {
    actions.push({ tag: "set-priority", val: priority });
  }
  return { outcome, actions, reason };
}

/** The first rule that finds one of its words in a folded text, if any, and why. */
function find(text) {
  for (const [at, rule] of settings.rules.entries()) {
    const word = rule.folded.findIndex((word) => text.includes(word));
    if (word >= 0) {
      return { rule, reason: `rule ${at + 1} found \`${rule.words[word]}\`` };
    }
  }
  return { rule: null, reason: "no rule found its words" };
}

/** The sender's level in the operator's table of VIPs, or null. */
function vipLevel(sender) {
  const table = settings.vip_table;
  if (table === "") {
    return null;
  }
  if (sender === null) {
    log.write("warn", `nobody to look up in the table \`${table}\`: the sender is not known`);
    return null;
  }
  return tables.lookup(table, sender);
}

/** The first queue that is too long, and how many wait in it; null where none is. */
function tooLong() {
  for (const limit of settings.busy) {
    // Null until something has happened in the queue.
    const waiting = statistics.value("queue", limit.queue, "waiting") ?? 0;
    if (waiting > limit.waiting) {
      return { limit, waiting };
    }
  }
  return null;
}

/**
 * The words of a text in lower case, each between two spaces: whole words and phrases are then found as plain text.
 * What is not ASCII counts as a letter and stays as it is.
 */
function fold(text) {
  const words = text.split(/[^A-Za-z0-9\u0080-\uffff]+/).filter((word) => word !== "");
  return ["", ...words, ""].join(" ").replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
