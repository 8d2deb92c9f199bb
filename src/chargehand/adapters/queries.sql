-- Every query of the journal. `-- name:` begins one; the lines after it are its text.

-- name: append_event
INSERT INTO events (seq, at, type, task, attempt, body, chain) VALUES (:seq, :at, :type, :task, :attempt, :body, :chain);

-- name: read_chain
SELECT seq, at, body, chain FROM events WHERE seq > :after ORDER BY seq LIMIT :count;

-- name: last_event
SELECT seq, chain FROM events ORDER BY seq DESC LIMIT 1;

-- name: chain_at
SELECT chain FROM events WHERE seq = :seq;

-- name: put_request
INSERT INTO inbox (id, at, body) VALUES (:id, (julianday('now') - 2440587.5) * 86400.0, :body)
ON CONFLICT (id) DO NOTHING;

-- name: pending_requests
SELECT body FROM inbox WHERE settled_at IS NULL ORDER BY number;

-- name: waiting_rows
SELECT number, id, body FROM inbox WHERE settled_at IS NULL ORDER BY number;

-- name: settle_request
UPDATE inbox SET settled_at = (julianday('now') - 2440587.5) * 86400.0 WHERE id = :id AND settled_at IS NULL;

-- name: put_meta
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: get_meta
SELECT value FROM meta WHERE name = :name;

-- name: last_taken_up
SELECT body FROM events WHERE type = 'RunResumed' ORDER BY seq DESC LIMIT 1;

-- name: all_meta
SELECT name, value FROM meta;

-- name: count_objects
SELECT count(*) FROM sqlite_master;

-- name: check_file
PRAGMA integrity_check;
