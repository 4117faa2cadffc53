"""All environment variables Footfall reads, so that each service knows the others' from a typing error.

Written by tests/support/reference_pages.py from the settings classes of all members.
"""

KNOWN: frozenset[str] = frozenset(
    {
        "FOOTFALL_ACK_TIMEOUT_S",
        "FOOTFALL_ADMIN_TOKEN",
        "FOOTFALL_BODY_DEADLINE_S",
        "FOOTFALL_COUNTRY_DATABASE",
        "FOOTFALL_DATABASE_URL",
        "FOOTFALL_DRAIN_S",
        "FOOTFALL_HEADER_DEADLINE_S",
        "FOOTFALL_HISTORY_MONTHS",
        "FOOTFALL_HOST",
        "FOOTFALL_IMPORT_MAX_BYTES",
        "FOOTFALL_IMPORT_MAX_EVENTS_PER_S",
        "FOOTFALL_IMPORT_SPOOL_DIR",
        "FOOTFALL_KAFKA",
        "FOOTFALL_KEY",
        "FOOTFALL_LOG",
        "FOOTFALL_LOG_FORM",
        "FOOTFALL_LOG_LEVEL",
        "FOOTFALL_MAX_CONNECTIONS",
        "FOOTFALL_MAX_INFLIGHT_BYTES",
        "FOOTFALL_MAX_STREAMS",
        "FOOTFALL_PORT",
        "FOOTFALL_PROJECT_EVENTS_PER_S",
        "FOOTFALL_PROJECT_REJECTED_PER_MINUTE",
        "FOOTFALL_RESUME_MAX_RECORDS",
        "FOOTFALL_RULES_PER_PROJECT",
        "FOOTFALL_SPOOL_DIR",
        "FOOTFALL_SPOOL_MAX_BYTES",
        "FOOTFALL_TRUSTED_PROXIES",
        "FOOTFALL_URL",
    }
)
