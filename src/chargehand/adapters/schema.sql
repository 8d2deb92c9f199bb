-- The journal of one run: the whole schema as the newest migration leaves it. A new file is made from this text,
-- an older one by the files of migrations/; a test holds the two together.

-- Facts, in order, without gaps from 1. `task` and `attempt` repeat what the body says, for reading by hand.
-- `chain` is sha256 over the chain before, seq, at and body: a changed or missing event shows.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    type TEXT NOT NULL,
    task TEXT NOT NULL,
    attempt INTEGER,
    body TEXT NOT NULL,
    chain TEXT NOT NULL
);

CREATE TRIGGER events_are_never_edited BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never edited');
END;

CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never removed');
END;

-- What any process asks of the run; only the holder of the run settles.
CREATE TABLE inbox (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,
    body TEXT NOT NULL,
    settled_at REAL
);

CREATE INDEX inbox_pending ON inbox (number) WHERE settled_at IS NULL;

-- Small facts about the file itself.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

PRAGMA application_id = 1128812612;
PRAGMA user_version = 1;
