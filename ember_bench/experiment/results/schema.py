"""The tables of a trial store."""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x454D4254  # "EMBT"
SCHEMA_VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cells (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, parts TEXT NOT NULL);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    dataset TEXT NOT NULL,
    item TEXT NOT NULL,
    digest TEXT NOT NULL,
    UNIQUE (dataset, item)
);
CREATE TABLE asked (
    dataset TEXT NOT NULL, place INTEGER NOT NULL, item INTEGER NOT NULL REFERENCES items (id),
    category TEXT, cluster TEXT, question TEXT NOT NULL, target TEXT NOT NULL,
    PRIMARY KEY (dataset, place)
) WITHOUT ROWID;
CREATE TABLE evaluators (dataset TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trials (
    cell INTEGER NOT NULL REFERENCES cells (id),
    item INTEGER NOT NULL REFERENCES items (id),
    epoch INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    outcome TEXT NOT NULL,
    score REAL NOT NULL,
    answer TEXT,
    explanation TEXT NOT NULL,
    error TEXT,
    cost_usd REAL,
    latency_seconds REAL,
    spend_usd REAL NOT NULL,
    calls_used INTEGER NOT NULL,
    calls_made INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    calls BLOB NOT NULL,
    stated INTEGER,
    PRIMARY KEY (cell, item, epoch)
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    started TEXT NOT NULL,
    spend_usd REAL NOT NULL DEFAULT 0,
    calls_made INTEGER NOT NULL DEFAULT 0,
    calls_shared INTEGER NOT NULL DEFAULT 0
);
"""
DESCRIPTION: Final = "description"
"""Name of the fact that holds the description of the experiment."""
DESCRIPTION_DIGEST: Final = "description digest"
"""Name of the fact that holds its digest; stores that were made before it have none."""
BUDGET_USD: Final = "budget_usd"
"""Name of the fact that holds the most that the last run may spend; "" without a cap."""
