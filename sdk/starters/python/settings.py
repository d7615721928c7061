"""JSON Schema (2020-12) of the settings: the server checks them with it, and the designer makes its form of it."""

ITEM = {
    "type": "object",
    "required": ["key", "value"],
    "properties": {
        "key": {"type": "string", "minLength": 1, "maxLength": 128},
        "value": {"type": "string"},
    },
    "additionalProperties": False,
}

RULE = {
    "type": "object",
    "required": ["words", "outcome"],
    "properties": {
        "words": {
            "description": "Whole words or phrases, found in subject or body; A to Z in either case.",
            "type": "array",
            "minItems": 1,
            "items": {"type": "string"},
        },
        "outcome": {
            "description": "The outcome to leave by.",
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9-]{0,63}$",
        },
        "priority": {
            "description": "Raises the priority to this.",
            "type": "integer",
            "minimum": 0,
            "maximum": 1000,
            "default": 0,
        },
        "attach": {"description": "Items of user data to set.", "type": "array", "items": ITEM},
    },
    "additionalProperties": False,
}

LIMIT = {
    "type": "object",
    "required": ["queue", "waiting"],
    "properties": {
        "queue": {"description": "Name of the queue.", "type": "string"},
        "waiting": {
            "description": "It is too long when more than so many wait in it.",
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
        },
    },
    "additionalProperties": False,
}

SCHEMA = {
    "description": "What an operator sets.",
    "type": "object",
    "required": ["rules"],
    "properties": {
        "rules": {
            "description": "Tried in order: the first rule that finds one of its words decides.",
            "type": "array",
            "items": RULE,
        },
        "vip_table": {
            "description": "Table from a sender's address to a VIP level. Empty: nobody is a VIP.",
            "type": "string",
            "default": "",
        },
        "busy": {
            "description": "Queues to watch: while one of them is too long, whoever is not a VIP leaves by `busy`.",
            "type": "array",
            "items": LIMIT,
        },
    },
    "additionalProperties": False,
}
