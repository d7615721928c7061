// Sorts interactions by the words in them, lets VIPs go first, and says when the desk is full.
//
// `configure` makes the state and `route` only reads it: every call starts from a fresh copy of what `configure` left.
// There is no clock but `request->now`, no randomness, no network and no files: the same request gets the same decision.
//
// build/strategy.h is made from wit/strategy.wit by wit-bindgen. Who owns what: arguments are ours to free; every string
// and list that an export hands back must come from malloc, as it is freed once the server has read it.

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"
#include "strategy.h"
#include "text.h"

// A VIP's interaction has at least this priority, of 1000.
static const uint16_t VIP_PRIORITY = 900;

static struct settings settings;

// Writes a line that `format` made.
static void log_line(signalbox_strategy_log_level_t level, strategy_string_t line) {
  signalbox_strategy_log_write(level, &line);
  strategy_string_free(&line);
}

// --- describe ---

static void add_outcome(strategy_manifest_t *manifest, struct text name, const char *description) {
  for (size_t i = 0; i < manifest->outcomes.len; i++) {
    if (text_equal(text_of(&manifest->outcomes.ptr[i].name), name)) return;
  }
  signalbox_strategy_types_outcome_t *outcome = &manifest->outcomes.ptr[manifest->outcomes.len++];
  outcome->name = text_copy(name);
  strategy_string_dup(&outcome->description, description);
}

// What the strategy is. Asked before and after `configure`: rules add their outcomes.
void exports_strategy_describe(strategy_manifest_t *manifest) {
  memset(manifest, 0, sizeof *manifest);
  strategy_string_dup(&manifest->name, "{{name}}");
  strategy_string_dup(&manifest->version, "0.1.0");
  strategy_string_dup(&manifest->description, "Sorts by words, lets VIPs go first, and says when the desk is full.");
  strategy_string_dup(&manifest->settings_schema, SETTINGS_SCHEMA);
  manifest->outcomes.ptr = allocate((settings.rules_len + 2) * sizeof *manifest->outcomes.ptr);
  add_outcome(manifest, text("no-match"), "No rule found its words.");
  add_outcome(manifest, text("busy"), "Too many wait, and it is not from a VIP.");
  for (size_t i = 0; i < settings.rules_len; i++) {
    add_outcome(manifest, settings.rules[i].outcome, "A rule found one of its words.");
  }
}

// --- configure ---

// Takes the settings, which fit the schema: the server has checked. On `false` the operator reads the error.
bool exports_strategy_configure(strategy_string_t *json, strategy_list_asset_t *assets, strategy_string_t *error) {
  strategy_list_asset_free(assets);
  settings = settings_read(text_of(json));
  for (size_t i = 0; i < settings.rules_len; i++) {
    const struct rule *rule = &settings.rules[i];
    for (size_t j = 0; j < rule->words_len; j++) {
      struct word *word = &rule->words[j];
      word->folded = text_fold(word->written);
      if (text_equal(word->folded, text(" "))) {
        *error = format("rule %zu: `%.*s` has neither letter nor digit", i + 1, TEXT(word->written));
        return false;
      }
    }
  }
  log_line(SIGNALBOX_STRATEGY_LOG_LEVEL_INFO, format("%zu rules", settings.rules_len));
  return true;
}

// --- route ---

// The first rule that finds one of its words in a folded text, with its number and that word; NULL where none does.
static const struct rule *find(struct text folded, size_t *number, struct text *word) {
  for (size_t i = 0; i < settings.rules_len; i++) {
    const struct rule *rule = &settings.rules[i];
    for (size_t j = 0; j < rule->words_len; j++) {
      if (text_contains(folded, rule->words[j].folded)) {
        *number = i + 1;
        *word = rule->words[j].written;
        return rule;
      }
    }
  }
  return NULL;
}

// Whether the sender is in the operator's table of VIPs. If so, `level` is to be freed.
static bool vip_level(const strategy_option_string_t *sender, strategy_string_t *level) {
  if (settings.vip_table.len == 0) return false;
  if (!sender->is_some) {
    log_line(SIGNALBOX_STRATEGY_LOG_LEVEL_WARN,
             format("nobody to look up in the table `%.*s`: the sender is not known", TEXT(settings.vip_table)));
    return false;
  }
  strategy_string_t table = text_lend(settings.vip_table), key = sender->val;
  return signalbox_strategy_tables_lookup(&table, &key, level);
}

// The first queue that is too long, and how many wait in it; NULL where none is.
static const struct limit *too_long(uint64_t *waiting) {
  for (size_t i = 0; i < settings.busy_len; i++) {
    strategy_string_t queue = text_lend(settings.busy[i].queue), statistic = text_lend(text("waiting"));
    const signalbox_strategy_statistics_object_kind_t kind = SIGNALBOX_STRATEGY_STATISTICS_OBJECT_KIND_QUEUE;
    double value;
    // Nothing is known until something has happened in the queue.
    if (!signalbox_strategy_statistics_value(kind, &queue, &statistic, &value)) value = 0;
    *waiting = (uint64_t)value;
    if (*waiting > settings.busy[i].waiting) return &settings.busy[i];
  }
  return NULL;
}

static void attach(strategy_decision_t *decision, struct text key, struct text value) {
  signalbox_strategy_types_action_t *action = &decision->actions.ptr[decision->actions.len++];
  action->tag = SIGNALBOX_STRATEGY_TYPES_ACTION_ATTACH;
  action->val.attach.key = text_copy(key);
  action->val.attach.value = text_copy(value);
}

static void set_priority(strategy_decision_t *decision, uint16_t priority) {
  signalbox_strategy_types_action_t *action = &decision->actions.ptr[decision->actions.len++];
  action->tag = SIGNALBOX_STRATEGY_TYPES_ACTION_SET_PRIORITY;
  action->val.set_priority = priority;
}

static uint16_t max(uint16_t a, uint16_t b) { return a > b ? a : b; }

// The words of subject and body. To be freed by its `ptr`.
static struct text words_of(const signalbox_strategy_types_interaction_t *interaction) {
  struct text subject = interaction->subject.is_some ? text_of(&interaction->subject.val) : text("");
  strategy_string_t both = format("%.*s %.*s", TEXT(subject), TEXT(text_of(&interaction->body)));
  struct text folded = text_fold(text_of(&both));
  strategy_string_free(&both);
  return folded;
}

// Decides about one interaction.
static void decide(const signalbox_strategy_types_interaction_t *interaction, struct text words,
                   strategy_decision_t *decision) {
  size_t number;
  struct text word;
  const struct rule *rule = find(words, &number, &word);
  uint16_t priority = interaction->priority;
  // Room for the rule's items, the VIP's level and the priority.
  size_t actions_max = (rule ? rule->attach_len : 0) + 2;
  decision->actions.ptr = allocate(actions_max * sizeof *decision->actions.ptr);
  decision->actions.len = 0;

  struct text outcome = text("no-match");
  strategy_string_t reason;
  if (rule) {
    outcome = rule->outcome;
    priority = max(priority, rule->priority);
    reason = format("rule %zu found `%.*s`", number, TEXT(word));
    for (size_t i = 0; i < rule->attach_len; i++) attach(decision, rule->attach[i].key, rule->attach[i].value);
  } else {
    reason = format("no rule found its words");
  }

  strategy_string_t level;
  const struct limit *full;
  uint64_t waiting;
  if (vip_level(&interaction->sender, &level)) {
    priority = max(priority, VIP_PRIORITY);
    attach(decision, text("vip"), text_of(&level));
    extend(&reason, format("; VIP: %.*s", TEXT(text_of(&level))));
    strategy_string_free(&level);
  } else if ((full = too_long(&waiting))) {
    outcome = text("busy");
    extend(&reason, format("; %" PRIu64 " wait in `%.*s`, more than %" PRIu32, waiting, TEXT(full->queue), full->waiting));
  }
  if (priority > interaction->priority) set_priority(decision, priority);
  decision->outcome = text_copy(outcome);
  decision->reason = reason;
}

// On `false` the failure says why there is no decision; a trap is a bug.
bool exports_strategy_route(strategy_request_t *request, strategy_decision_t *decision, strategy_failure_t *failure) {
  struct text words = words_of(&request->interaction);
  bool has_words = !text_equal(words, text(" "));
  if (has_words) {
    decide(&request->interaction, words, decision);
  } else {
    failure->tag = SIGNALBOX_STRATEGY_TYPES_FAILURE_UNSUITABLE;
    failure->val.unsuitable = format("there is no text to look for words in");
  }
  free((void *)words.ptr);
  strategy_request_free(request);
  return has_words;
}
