"""The vocabulary that names and descriptions are made of."""

import random

DOMAINS = (
    "accounting", "acquisition", "advertising", "billing", "branding", "campaigns", "catalogue", "claims", "compliance",
    "contracts", "couriers", "delivery", "disputes", "engagement", "facilities", "finance", "forecasting", "fraud",
    "fulfilment", "helpdesk", "hiring", "inventory", "invoicing", "leads", "logistics", "loyalty", "marketplace",
    "memberships", "merchants", "payments", "payroll", "platform", "pricing", "procurement", "product", "promotions",
    "recommendations", "refunds", "retention", "returns", "sales", "search", "sessions", "subscriptions", "suppliers",
    "treasury", "warehousing", "web",
)  # fmt: skip
SYSTEMS = ("core_api", "crm", "erp", "event_stream", "ledger", "mobile_app", "partner_files", "spreadsheets", "webshop")
ENTITIES = (
    "account", "address", "adjustment", "agent", "allocation", "booking", "budget", "campaign", "carrier", "cart",
    "category", "channel", "charge", "claim", "click", "contact", "contract", "coupon", "credit_note", "customer",
    "delivery", "device", "discount", "dispute", "employee", "exchange_rate", "impression", "invoice", "invoice_line",
    "item", "journal_entry", "lead", "location", "membership", "merchant", "message", "order", "order_line", "parcel",
    "partner", "payment", "payout", "plan", "price", "product", "promotion", "purchase", "quote", "rating", "receipt",
    "refund", "region", "return", "review", "session", "shipment", "stock_level", "store", "subscription", "supplier",
    "ticket", "transaction", "transfer", "visit", "voucher", "warehouse",
)  # fmt: skip
# What a layer does to an entity, as the tail of a model's name.
TAILS = {
    "staging": ("", "_history", "_snapshot", "_raw", "_deleted", "_latest", "_backfill", "_v2"),
    "intermediate": (
        "_joined", "_deduplicated", "_enriched", "_pivoted_by_status", "_with_currency", "_sessionised", "_daily_grain",
        "_matched_to_customer", "_unioned", "_ranked", "_filled_forward", "_allocated",
    ),
    "marts": (
        "", "_daily", "_weekly", "_monthly", "_by_region", "_by_channel", "_by_cohort", "_lifetime", "_kpis", "_margin",
        "_funnel", "_year_over_year", "_forecast_input", "_reconciliation",
    ),
}  # fmt: skip
# An attribute and its BigQuery type; "{}" is the entity.
ATTRIBUTES = (
    ("{}_name", "STRING"), ("{}_status", "STRING"), ("{}_type", "STRING"), ("{}_category", "STRING"),
    ("{}_reference", "STRING"), ("{}_count", "INT64"), ("{}_quantity", "INT64"), ("{}_amount", "NUMERIC"),
    ("{}_amount_eur", "NUMERIC"), ("{}_tax_amount", "NUMERIC"), ("{}_discount_amount", "NUMERIC"),
    ("{}_net_amount", "NUMERIC"), ("{}_margin", "NUMERIC"), ("{}_score", "FLOAT64"), ("{}_share", "FLOAT64"),
    ("is_{}_active", "BOOL"), ("is_{}_test", "BOOL"), ("has_{}", "BOOL"), ("{}_date", "DATE"), ("{}_month", "DATE"),
    ("{}_created_at", "TIMESTAMP"), ("{}_updated_at", "TIMESTAMP"), ("{}_closed_at", "TIMESTAMP"),
    ("first_{}_at", "TIMESTAMP"), ("last_{}_at", "TIMESTAMP"), ("days_since_{}", "INT64"), ("{}_rank", "INT64"),
    ("{}_currency", "STRING"), ("{}_country_code", "STRING"), ("{}_source", "STRING"), ("{}_email", "STRING"),
    ("{}_note", "STRING"), ("{}_rate", "FLOAT64"), ("previous_{}_status", "STRING"), ("{}_external_id", "STRING"),
)  # fmt: skip
STATUSES = (
    "open", "pending", "active", "paused", "paid", "partially_paid", "shipped", "delivered", "returned", "refunded",
    "cancelled", "expired", "failed", "draft", "approved", "rejected", "closed",
)  # fmt: skip
PEOPLE = ("Ada", "Bilal", "Chiara", "Dmitri", "Elif", "Femi", "Greta", "Hiro", "Inés", "Jonas", "Kofi", "Leila")
TAGS = ("hourly", "daily", "weekly", "finance", "pii", "core", "contract", "legacy", "experimental", "board_report")

_OPENINGS = (
    "The {a} of the {b}", "Identifier of the {a} this {b} belongs to", "{a} as reported by the {b} system",
    "When the {a} was last changed by the {b}", "One row per {a} and {b}", "Share of {a} in all {b}",
    "Whether the {a} has a {b}", "Number of {a} records per {b}", "Net {a} value in EUR, before {b}",
    "Foreign key to the {b} of this {a}", "Current state of the {a}", "Natural key of the {a}",
)  # fmt: skip
_CLAUSES = (
    "excluding test accounts", "in the time zone of the {a}", "null until the first {b} is known",
    "deduplicated on the latest {a} event", "converted at the rate of the day of the {b}",
    "taken from the {a} export, which arrives once a day", "see the page on {b} in the team handbook",
    "not to be used for anything that leaves the company", "before 2021 this was filled by hand",
    "a negative value means that the {a} was corrected afterwards", "late {b} records may change it for three days",
    "agreed with the owners of the {b} — please ask them before you change it",
    "`unknown` where the {a} could not be matched", "amounts below 0,01 € are rounded to zero",
    "kept for the audit of the {a}", "replaces the former \"{b}\" field",
)  # fmt: skip


def spoken(entity: str) -> str:
    """`order_line` as people say it."""
    return entity.replace("_", " ")


def plural(entity: str) -> str:
    """The name of a table of these."""
    if entity.endswith("y"):
        return f"{entity[:-1]}ies"
    return f"{entity}es" if entity.endswith(("s", "x", "ch", "sh")) else f"{entity}s"


def prose(rng: random.Random, median: float, sigma: float) -> str:
    """A description whose length is drawn from a log-normal distribution, in characters."""
    target = rng.lognormvariate(0, sigma) * median
    text = _fill(rng, rng.choice(_OPENINGS))
    while len(text) < target:
        text += rng.choice((", ", "; ", ". ", ", ", ".\n")) + _fill(rng, rng.choice(_CLAUSES))
    return f"{text}."


def _fill(rng: random.Random, pattern: str) -> str:
    return pattern.format(a=spoken(rng.choice(ENTITIES)), b=spoken(rng.choice(ENTITIES)))
