"""Sorts interactions by the words in them, lets VIPs go first, and says when the desk is full.

`configure` makes the state and `route` only reads it: every call starts from a fresh copy of what `configure` left.
There is no clock but `request.now`, no randomness, no network and no files: the same request gets the same decision.

`wit_world` is made from wit/strategy.wit; for an editor that knows it, run
`.venv/bin/componentize-py -d wit -w strategy bindings .`. Import at the top of a module: the component is made after
that, with what was imported in it and nothing else.
"""

import json
import string
from dataclasses import dataclass

import wit_world
from componentize_py_types import Err
from wit_world.imports import log, statistics, tables, types

from settings import SCHEMA

VIP_PRIORITY = 900
"""A VIP's interaction has at least this priority, of 1000."""


@dataclass(frozen=True)
class Rule:
    """A rule of the settings, with its words folded once."""

    words: list[str]
    outcome: str
    priority: int
    attach: list[types.Entry]
    folded: list[str]


@dataclass(frozen=True)
class State:
    """What `configure` leaves for `route` to read."""

    rules: list[Rule]
    vip_table: str
    busy: list[dict]


STATE = State([], "", [])


class WitWorld(wit_world.WitWorld):
    """The strategy: the three functions that the world asks for. Each call makes a new one, so it keeps nothing."""

    def describe(self) -> types.Manifest:
        """What the strategy is. Asked before and after `configure`: rules add their outcomes."""
        outcomes = {
            "no-match": "No rule found its words.",
            "busy": "Too many wait, and it is not from a VIP.",
        }
        for rule in STATE.rules:
            outcomes.setdefault(rule.outcome, "A rule found one of its words.")
        return types.Manifest(
            name="{{name}}",
            version="0.1.0",
            description="Sorts by words, lets VIPs go first, and says when the desk is full.",
            outcomes=[types.Outcome(name, description) for name, description in outcomes.items()],
            settings_schema=json.dumps(SCHEMA),
            assets=[],
        )

    def configure(self, settings: str, assets: list[types.Asset]) -> None:
        """Takes the settings, which fit the schema: the server has checked. The operator reads what is raised as Err."""
        global STATE
        given = json.loads(settings)
        rules = []
        for at, rule in enumerate(given["rules"], start=1):
            folded = [fold(word) for word in rule["words"]]
            if " " in folded:
                raise Err(f"rule {at}: `{rule['words'][folded.index(' ')]}` has neither letter nor digit")
            attach = [types.Entry(item["key"], item["value"]) for item in rule.get("attach", [])]
            rules.append(Rule(rule["words"], rule["outcome"], rule.get("priority", 0), attach, folded))
        log.write(log.Level.INFO, f"{len(rules)} rules")
        STATE = State(rules, given.get("vip_table", ""), given.get("busy", []))

    def route(self, request: types.Request) -> types.Decision:
        """Decides about one interaction. An expected failure is raised as Err; any other exception is a bug: a trap."""
        interaction = request.interaction
        text = fold(f"{interaction.subject or ''} {interaction.body}")
        if text == " ":
            raise Err(types.Failure_Unsuitable("there is no text to look for words in"))

        rule, reason = find(text)
        outcome = rule.outcome if rule else "no-match"
        priority = max(interaction.priority, rule.priority if rule else 0)
        actions: list[types.Action] = [types.Action_Attach(item) for item in rule.attach] if rule else []

        level = vip_level(interaction.sender)
        if level is not None:
            priority = max(priority, VIP_PRIORITY)
            reason += f"; VIP: {level}"
            actions.append(types.Action_Attach(types.Entry("vip", level)))
        elif full := too_long():
            limit, waiting = full
            outcome = "busy"
            reason += f"; {waiting} wait in `{limit['queue']}`, more than {limit['waiting']}"
        if priority > interaction.priority:
            actions.append(types.Action_SetPriority(priority))
        return types.Decision(outcome, actions, reason)


def find(text: str) -> tuple[Rule | None, str]:
    """The first rule that finds one of its words in a folded text, if any, and why."""
    for at, rule in enumerate(STATE.rules, start=1):
        for word, folded in zip(rule.words, rule.folded):
            if folded in text:
                return rule, f"rule {at} found `{word}`"
    return None, "no rule found its words"


def vip_level(sender: str | None) -> str | None:
    """The sender's level in the operator's table of VIPs."""
    if not STATE.vip_table:
        return None
    if sender is None:
        log.write(
            log.Level.WARN,
            f"nobody to look up in the table `{STATE.vip_table}`: the sender is not known",
        )
        return None
    return tables.lookup(STATE.vip_table, sender)


def too_long() -> tuple[dict, int] | None:
    """The first queue that is too long, and how many wait in it."""
    for limit in STATE.busy:
        # None until something has happened in the queue.
        waiting = int(statistics.value(statistics.ObjectKind.QUEUE, limit["queue"], "waiting") or 0)
        if waiting > limit["waiting"]:
            return limit, waiting
    return None


FOLDED = {code: " " for code in range(128)} | {
    ord(c): c.lower() for c in string.ascii_letters + string.digits
}
"""Of ASCII, letters in lower case and digits; the rest of it parts words."""


def fold(text: str) -> str:
    """The words of a text in lower case, each between two spaces: words and phrases are then found as plain text.

    What is not ASCII counts as a letter and stays as it is.
    """
    words = filter(None, text.translate(FOLDED).split(" "))
    return " ".join(["", *words, ""])
