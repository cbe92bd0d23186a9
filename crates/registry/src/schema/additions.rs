//! What the database has got since the first release, each with a name, in the order in which it came.

use keyward_core::sql::Addition;

/// What an older build does not notice. A released one is never edited: append.
pub const ADDITIONS: &[Addition] = &[
    Addition {
        name: "idempotency of a key",
        statements: "CREATE INDEX idempotency_of_key ON idempotency (key_id)",
    },
    Addition {
        name: "admin scopes of a key",
        statements: "
    ALTER TABLE keys ADD COLUMN admin_scopes TEXT;
    CREATE INDEX keys_without_admin_scopes ON keys (realm, scopes) WHERE admin_scopes IS NULL
",
    },
    Addition {
        name: "keys that were not shown yet",
        statements: "
    ALTER TABLE keys ADD COLUMN deliver_by INTEGER;
    CREATE INDEX keys_to_deliver ON keys (deliver_by) WHERE deliver_by IS NOT NULL
",
    },
    Addition {
        name: "usage taken back",
        statements: "ALTER TABLE usage ADD COLUMN taken_back INTEGER NOT NULL DEFAULT 0",
    },
    Addition {
        name: "guesses",
        statements: "
            CREATE TABLE guesses (
                number INTEGER PRIMARY KEY,
                subject TEXT NOT NULL UNIQUE,
                failures INTEGER NOT NULL,
                at INTEGER NOT NULL
            ) STRICT;
            CREATE INDEX guesses_by_time ON guesses (at);
            CREATE TABLE known_networks (
                number INTEGER PRIMARY KEY,
                member_id TEXT NOT NULL,
                network TEXT NOT NULL,
                seen_at INTEGER NOT NULL
            ) STRICT;
            CREATE INDEX known_networks_of_member ON known_networks (member_id, network)
        ",
    },
    Addition {
        name: "sessions are listed",
        statements: "
            ALTER TABLE sessions ADD COLUMN seen_at INTEGER;
            ALTER TABLE sessions ADD COLUMN network TEXT;
            ALTER TABLE sessions ADD COLUMN agent TEXT
        ",
    },
    Addition { name: "usage by hour", statements: "CREATE INDEX usage_by_hour ON usage (hour)" },
    Addition {
        name: "usage by day",
        statements: "
    CREATE TABLE usage_days (
        number INTEGER PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        day INTEGER NOT NULL,
        accepted INTEGER NOT NULL,
        refused TEXT NOT NULL
    ) STRICT;
    CREATE INDEX usage_days_of_key ON usage_days (key_id, day);
    CREATE INDEX usage_days_by_time ON usage_days (day)
",
    },
    Addition {
        name: "audit checkpoints",
        statements: "
    CREATE TABLE audit_checkpoints (
        tenant_id TEXT PRIMARY KEY,
        checkpoint TEXT NOT NULL,
        mac TEXT NOT NULL
    ) STRICT;
    CREATE TABLE audit_refused (
        tenant_id TEXT PRIMARY KEY,
        day INTEGER NOT NULL,
        of_day INTEGER NOT NULL,
        total INTEGER NOT NULL
    ) STRICT
",
    },
    Addition {
        name: "quotas",
        statements: "
    ALTER TABLE tenants ADD COLUMN quotas TEXT;
    ALTER TABLE keys ADD COLUMN bytes INTEGER GENERATED ALWAYS AS (
        length(CAST(name AS BLOB)) + length(CAST(scopes AS BLOB)) + length(CAST(allowed_ips AS BLOB))
        + length(CAST(allowed_origins AS BLOB)) + length(CAST(tags AS BLOB)) + length(CAST(metadata AS BLOB))
        + length(CAST(search AS BLOB))
    ) VIRTUAL;
    CREATE INDEX keys_by_end ON keys (tenant_id, status, expires_at, revoked_at, bytes);
    CREATE INDEX links_of_tenant ON links (tenant_id, used_at, expires_at)
",
    },
    Addition {
        name: "ballast",
        statements: "
    CREATE TABLE ballast (number INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
    INSERT INTO ballast (text) VALUES (hex(zeroblob(131072)))
",
    },
    Addition {
        name: "audit by day",
        statements: "
    CREATE TABLE audit_daily (
        tenant_id TEXT NOT NULL,
        what TEXT NOT NULL,
        day INTEGER NOT NULL,
        entries INTEGER NOT NULL,
        left_out INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, what)
    ) STRICT;
    ALTER TABLE audit_refused ADD COLUMN is_whole INTEGER
",
    },
    Addition {
        name: "what a tenant holds",
        statements: "
    CREATE TABLE usage_bounds (
        tenant_id TEXT PRIMARY KEY,
        first_hour INTEGER NOT NULL,
        first_day INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX usage_days_of_tenant ON usage_days (tenant_id, day);
    ALTER TABLE idempotency ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX idempotency_kept ON idempotency (tenant_id, kept) WHERE kept > 0
",
    },
    // Triggers, so that an older build that serves beside this one counts as well.
    Addition {
        name: "counts of a tenant",
        statements: "
    CREATE TABLE tenant_counts (
        tenant_id TEXT PRIMARY KEY,
        keys INTEGER NOT NULL DEFAULT 0,
        revoked INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        revoked_bytes INTEGER NOT NULL DEFAULT 0,
        requests INTEGER NOT NULL DEFAULT 0,
        kept INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO tenant_counts (tenant_id, keys, revoked, bytes, revoked_bytes)
        SELECT tenant_id, COUNT(*), SUM(status = 'REVOKED'), SUM(bytes), SUM((status = 'REVOKED') * bytes)
        FROM keys GROUP BY tenant_id;
    INSERT INTO tenant_counts (tenant_id, requests, kept)
        SELECT tenant_id, COUNT(*), SUM(kept) FROM idempotency WHERE TRUE GROUP BY tenant_id
        ON CONFLICT (tenant_id) DO UPDATE SET requests = excluded.requests, kept = excluded.kept;
    CREATE TRIGGER keys_made AFTER INSERT ON keys BEGIN
        INSERT INTO tenant_counts (tenant_id, keys, revoked, bytes, revoked_bytes)
        VALUES (NEW.tenant_id, 1, NEW.status = 'REVOKED', NEW.bytes, (NEW.status = 'REVOKED') * NEW.bytes)
        ON CONFLICT (tenant_id) DO UPDATE SET keys = keys + 1, revoked = revoked + excluded.revoked,
            bytes = bytes + excluded.bytes, revoked_bytes = revoked_bytes + excluded.revoked_bytes; END;
    CREATE TRIGGER keys_changed
        AFTER UPDATE OF status, name, scopes, allowed_ips, allowed_origins, tags, metadata, search ON keys
        WHEN NEW.status <> OLD.status OR NEW.bytes <> OLD.bytes BEGIN
        UPDATE tenant_counts SET revoked = revoked + (NEW.status = 'REVOKED') - (OLD.status = 'REVOKED'),
            bytes = bytes + NEW.bytes - OLD.bytes, revoked_bytes = revoked_bytes
                + (NEW.status = 'REVOKED') * NEW.bytes - (OLD.status = 'REVOKED') * OLD.bytes
        WHERE tenant_id = NEW.tenant_id; END;
    CREATE TRIGGER keys_removed AFTER DELETE ON keys BEGIN
        UPDATE tenant_counts SET keys = keys - 1, revoked = revoked - (OLD.status = 'REVOKED'),
            bytes = bytes - OLD.bytes, revoked_bytes = revoked_bytes - (OLD.status = 'REVOKED') * OLD.bytes
        WHERE tenant_id = OLD.tenant_id; END;
    CREATE TRIGGER idempotency_made AFTER INSERT ON idempotency BEGIN
        INSERT INTO tenant_counts (tenant_id, requests, kept) VALUES (NEW.tenant_id, 1, NEW.kept)
        ON CONFLICT (tenant_id) DO UPDATE SET requests = requests + 1, kept = kept + excluded.kept; END;
    CREATE TRIGGER idempotency_changed AFTER UPDATE OF kept ON idempotency BEGIN
        UPDATE tenant_counts SET kept = kept + NEW.kept - OLD.kept WHERE tenant_id = NEW.tenant_id; END;
    CREATE TRIGGER idempotency_removed AFTER DELETE ON idempotency BEGIN
        UPDATE tenant_counts SET requests = requests - 1, kept = kept - OLD.kept
        WHERE tenant_id = OLD.tenant_id; END
",
    },
    // An older build takes a paused key for one that expired long ago, the first that it would remove. A label is `t` and a
    // tag, `s`, the realm, a space and a scope as it is held, or `c` and the id of who made the key.
    Addition {
        name: "keys that are paused, filtered and sorted",
        statements: "
    ALTER TABLE keys ADD COLUMN paused_at INTEGER;
    ALTER TABLE keys ADD COLUMN paused_expiry INTEGER;
    CREATE TRIGGER keys_kept BEFORE DELETE ON keys WHEN OLD.status = 'ACTIVE' AND OLD.expires_at = 0 BEGIN
        SELECT RAISE(IGNORE); END;
    ALTER TABLE keys ADD COLUMN used_at INTEGER GENERATED ALWAYS AS (COALESCE(last_used_at, 0)) VIRTUAL;
    ALTER TABLE keys ADD COLUMN ends_at INTEGER
        GENERATED ALWAYS AS (COALESCE(paused_expiry, NULLIF(expires_at, 0), 9007199254740991)) VIRTUAL;
    ALTER TABLE keys ADD COLUMN sort_name TEXT
        GENERATED ALWAYS AS (substr(search, 1, min(40, instr(search || char(10), char(10)) - 1))) VIRTUAL;
    CREATE INDEX keys_by_use ON keys (tenant_id, used_at);
    CREATE INDEX keys_by_expiry ON keys (tenant_id, ends_at);
    CREATE INDEX keys_by_name ON keys (tenant_id, sort_name);
    CREATE INDEX keys_to_filter ON keys
        (tenant_id, number, status, realm, kind, mode, expires_at, ends_at, used_at, created_at, sort_name);
    CREATE INDEX keys_rotated ON keys (tenant_id, rotated_to) WHERE rotated_to IS NOT NULL AND status = 'ACTIVE';
    CREATE TABLE key_labels (
        tenant_id TEXT NOT NULL,
        label TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, label, number)
    ) STRICT, WITHOUT ROWID;
    INSERT OR IGNORE INTO key_labels
        SELECT tenant_id, 't' || value, number FROM keys, json_each(tags)
        UNION ALL SELECT tenant_id, 's' || realm || ' ' || value, number FROM keys, json_each(scopes)
        UNION ALL SELECT tenant_id, 'c' || json_extract(created_by, '$.id'), number FROM keys
            WHERE json_extract(created_by, '$.id') IS NOT NULL;
    CREATE TRIGGER keys_labelled AFTER INSERT ON keys BEGIN
        INSERT OR IGNORE INTO key_labels
            SELECT NEW.tenant_id, 't' || value, NEW.number FROM json_each(NEW.tags)
            UNION ALL SELECT NEW.tenant_id, 's' || NEW.realm || ' ' || value, NEW.number FROM json_each(NEW.scopes)
            UNION ALL SELECT NEW.tenant_id, 'c' || json_extract(NEW.created_by, '$.id'), NEW.number
                WHERE json_extract(NEW.created_by, '$.id') IS NOT NULL; END;
    CREATE TRIGGER keys_relabelled AFTER UPDATE OF tags, scopes ON keys
        WHEN NEW.tags <> OLD.tags OR NEW.scopes <> OLD.scopes BEGIN
        DELETE FROM key_labels WHERE tenant_id = OLD.tenant_id AND number = OLD.number AND label IN (
            SELECT 't' || value FROM json_each(OLD.tags)
            UNION ALL SELECT 's' || OLD.realm || ' ' || value FROM json_each(OLD.scopes)); INSERT OR IGNORE INTO key_labels
            SELECT NEW.tenant_id, 't' || value, NEW.number FROM json_each(NEW.tags)
            UNION ALL SELECT NEW.tenant_id, 's' || NEW.realm || ' ' || value, NEW.number FROM json_each(NEW.scopes); END;
    CREATE TRIGGER keys_unlabelled AFTER DELETE ON keys BEGIN
        DELETE FROM key_labels WHERE tenant_id = OLD.tenant_id AND number = OLD.number AND label IN (
            SELECT 't' || value FROM json_each(OLD.tags)
            UNION ALL SELECT 's' || OLD.realm || ' ' || value FROM json_each(OLD.scopes)
            UNION ALL SELECT 'c' || json_extract(OLD.created_by, '$.id')); END
",
    },
    // Of an entry that is no JSON nothing is found, and no statement fails: a chain that was tampered with has to open.
    Addition {
        name: "audit by actor",
        statements: "
    ALTER TABLE audit ADD COLUMN actor_id TEXT GENERATED ALWAYS AS
        (CAST(iif(json_valid(entry), json_extract(entry, '$.actor.id'), NULL) AS TEXT)) VIRTUAL;
    ALTER TABLE audit ADD COLUMN actor_email TEXT GENERATED ALWAYS AS
        (CAST(iif(json_valid(entry), json_extract(entry, '$.actor.email'), NULL) AS TEXT)) VIRTUAL;
    CREATE INDEX audit_by_actor_id ON audit (tenant_id, actor_id, seq);
    CREATE INDEX audit_by_actor_email ON audit (tenant_id, actor_email, seq)
",
    },
    Addition {
        name: "audit by action and object",
        statements: "
    ALTER TABLE audit ADD COLUMN action TEXT GENERATED ALWAYS AS
        (CAST(iif(json_valid(entry), json_extract(entry, '$.action'), NULL) AS TEXT)) VIRTUAL;
    ALTER TABLE audit ADD COLUMN target TEXT GENERATED ALWAYS AS
        (CAST(iif(json_valid(entry), json_extract(entry, '$.target'), NULL) AS TEXT)) VIRTUAL;
    ALTER TABLE audit ADD COLUMN time TEXT GENERATED ALWAYS AS
        (CAST(iif(json_valid(entry), json_extract(entry, '$.time'), NULL) AS TEXT)) VIRTUAL;
    CREATE INDEX audit_by_action ON audit (tenant_id, action, seq);
    CREATE INDEX audit_by_target ON audit (tenant_id, target, seq)
",
    },
    Addition {
        name: "invitations",
        statements: "
    CREATE TABLE invitations (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        hash TEXT NOT NULL UNIQUE,
        tenant_id TEXT NOT NULL,
        email TEXT NOT NULL,
        role TEXT NOT NULL,
        member_id TEXT,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX invitations_of_tenant ON invitations (tenant_id, number);
    CREATE INDEX invitations_by_email ON invitations (email);
    CREATE INDEX invitations_of_member ON invitations (member_id);
    CREATE INDEX invitations_by_inviter ON invitations (created_by);
    CREATE TABLE recoveries (
        hash TEXT PRIMARY KEY,
        used_at INTEGER NOT NULL
    ) STRICT;
    ALTER TABLE members ADD COLUMN seen_at INTEGER;
    UPDATE members SET seen_at = (SELECT MAX(COALESCE(seen_at, created_at)) FROM sessions WHERE member_id = members.id)
",
    },
    // Triggers as well. What was there before is added by upkeep, the newest first: `unsummed` is the number of the last row
    // that was not, and the triggers leave that one and those before it alone. A view, so that what is added to is named once.
    Addition {
        name: "usage of tenants",
        statements: "
    CREATE TABLE usage_totals (
        tenant_id TEXT NOT NULL,
        step INTEGER NOT NULL,
        time INTEGER NOT NULL,
        code TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, step, time, code)
    ) STRICT;
    CREATE INDEX usage_totals_by_time ON usage_totals (step, time);
    CREATE TABLE unsummed (usage INTEGER NOT NULL, usage_days INTEGER NOT NULL) STRICT;
    INSERT INTO unsummed SELECT
        COALESCE((SELECT MAX(rowid) FROM usage), 0), COALESCE((SELECT MAX(number) FROM usage_days), 0);
    CREATE VIEW usage_summed AS
        SELECT tenant_id, step, time, 0 AS accepted, '{}' AS refused, 0 AS was_accepted, '{}' AS was_refused FROM usage_totals;
    CREATE TRIGGER usage_is_summed INSTEAD OF INSERT ON usage_summed BEGIN
        INSERT INTO usage_totals
        SELECT whose.id, steps.step, NEW.time - NEW.time % steps.step, counts.code, SUM(counts.count)
        FROM (SELECT NEW.tenant_id AS id UNION ALL SELECT '' WHERE NEW.tenant_id <> 'unattributed') AS whose,
            (SELECT 3600000 AS step UNION ALL SELECT 86400000) AS steps,
            (SELECT code, sign * MIN(CAST(count AS INTEGER), 1000000000000) AS count FROM
                (SELECT '' AS code, 1 AS sign, NEW.accepted AS count UNION ALL SELECT '', -1, NEW.was_accepted
                UNION ALL SELECT key, 1, value FROM json_each(iif(json_valid(NEW.refused), NEW.refused, '{}'))
                UNION ALL SELECT key, -1, value FROM
                    json_each(iif(json_valid(NEW.was_refused), NEW.was_refused, '{}')))) AS counts
        WHERE steps.step >= NEW.step
        GROUP BY whose.id, steps.step, counts.code HAVING SUM(counts.count) <> 0
        ON CONFLICT (tenant_id, step, time, code) DO UPDATE SET count = count + excluded.count; END;
    CREATE TRIGGER usage_made AFTER INSERT ON usage WHEN NEW.rowid > (SELECT usage FROM unsummed) BEGIN
        INSERT INTO usage_summed VALUES (NEW.tenant_id, 3600000, NEW.hour, NEW.accepted, NEW.refused, 0, '{}'); END;
    CREATE TRIGGER usage_changed AFTER UPDATE OF accepted, refused ON usage
        WHEN NEW.rowid > (SELECT usage FROM unsummed) BEGIN
        INSERT INTO usage_summed VALUES
            (NEW.tenant_id, 3600000, NEW.hour, NEW.accepted, NEW.refused, OLD.accepted, OLD.refused); END
",
    },
    Addition {
        name: "latest refusals",
        statements: "
    CREATE TABLE refusals (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        request_id TEXT NOT NULL,
        tenant_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        refusal TEXT NOT NULL
    ) STRICT;
    CREATE INDEX refusals_of_tenant ON refusals (tenant_id, number);
    CREATE INDEX refusals_of_key ON refusals (key_id, number);
    CREATE INDEX refusals_by_time ON refusals (at);
    CREATE INDEX refusals_of_request ON refusals (request_id)
",
    },
    Addition {
        name: "keys near a limit, and who revoked them",
        statements: "
    ALTER TABLE keys ADD COLUMN near_limit_at INTEGER;
    CREATE INDEX keys_near_limit ON keys (tenant_id, near_limit_at) WHERE near_limit_at IS NOT NULL;
    ALTER TABLE keys ADD COLUMN revoked_by TEXT
",
    },
    Addition {
        name: "where keys were last used from",
        statements: "ALTER TABLE keys ADD COLUMN last_used_from TEXT",
    },
    // Triggers, so that whoever is reset or removed by an older build has no passkeys left either.
    Addition {
        name: "passkeys",
        statements: "
    CREATE TABLE passkeys (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        credential TEXT NOT NULL UNIQUE,
        tenant_id TEXT NOT NULL,
        member_id TEXT NOT NULL,
        host TEXT NOT NULL,
        name TEXT NOT NULL,
        key TEXT NOT NULL,
        counter INTEGER NOT NULL,
        synced INTEGER NOT NULL,
        kept INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        used_at INTEGER
    ) STRICT;
    CREATE INDEX passkeys_of_member ON passkeys (member_id, number);
    CREATE TABLE passkey_challenges (
        challenge TEXT PRIMARY KEY,
        member_id TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX passkey_challenges_of_member ON passkey_challenges (member_id);
    CREATE INDEX passkey_challenges_by_expiry ON passkey_challenges (expires_at);
    CREATE TRIGGER passkeys_ended AFTER UPDATE OF password ON members WHEN NEW.password <> OLD.password BEGIN
        DELETE FROM passkeys WHERE member_id = OLD.id AND kept = 0; UPDATE passkeys SET kept = 0
        WHERE member_id = OLD.id; END;
    CREATE TRIGGER passkeys_removed AFTER DELETE ON members BEGIN
        DELETE FROM passkeys WHERE member_id = OLD.id; END
",
    },
    // Of a key that has left the list its name stays, so that importing it again does not bring it back.
    Addition {
        name: "keys that were imported",
        statements: "
    ALTER TABLE keys ADD COLUMN imported_as TEXT;
    ALTER TABLE keys ADD COLUMN made_at INTEGER;
    CREATE TABLE ended_imports (
        hash TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX ended_imports_of_tenant ON ended_imports (tenant_id);
    CREATE TRIGGER keys_imported_ended AFTER DELETE ON keys WHEN OLD.imported_as IS NOT NULL BEGIN
        INSERT OR IGNORE INTO ended_imports VALUES (OLD.hash, OLD.tenant_id); END
",
    },
    Addition {
        name: "tokens that signed somebody in",
        statements: "
    CREATE TABLE used_tokens (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        hash TEXT NOT NULL UNIQUE,
        expires_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX used_tokens_by_expiry ON used_tokens (expires_at)
",
    },
    // What is looked for stands in the index, without `used_at`, which changes with each report of usage.
    Addition {
        name: "keys are searched in an index",
        statements: "
    CREATE INDEX keys_to_search ON keys
        (tenant_id, number, status, realm, kind, mode, expires_at, ends_at, created_at, sort_name, prefix, search)
",
    },
    // A change of a key counts if its record has changed. A version that its tenant causes is one of the tenant's: `change` is
    // its number, which records name. Where there are no keys yet, nothing has changed before. An upsert of a key or tenant
    // would make of the triggers' REPLACE an ABORT (SQLite, "CREATE TRIGGER").
    Addition {
        name: "what has changed",
        statements: "
    CREATE TABLE changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        hash TEXT UNIQUE,
        version INTEGER,
        revoked INTEGER,
        tenant_id TEXT UNIQUE,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE change_log (
        name TEXT NOT NULL,
        complete_since INTEGER,
        forgotten INTEGER NOT NULL
    ) STRICT;
    INSERT INTO change_log
        SELECT '', CASE WHEN EXISTS (SELECT 1 FROM keys) THEN NULL ELSE 0 END, 0;
    ALTER TABLE tenants ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
    CREATE TRIGGER keys_logged AFTER UPDATE OF version ON keys WHEN NEW.version > OLD.version AND (
        NEW.status <> OLD.status OR NEW.kind <> OLD.kind OR NEW.mode <> OLD.mode OR NEW.scopes <> OLD.scopes
        OR NEW.expires_at IS NOT OLD.expires_at OR NEW.paused_at IS NOT OLD.paused_at
        OR NEW.allowed_ips <> OLD.allowed_ips OR NEW.allowed_origins <> OLD.allowed_origins
        OR NEW.per_minute IS NOT OLD.per_minute OR NEW.per_day IS NOT OLD.per_day
        OR NEW.strict <> OLD.strict OR NEW.rotated_to IS NOT OLD.rotated_to) BEGIN
        REPLACE INTO changes (hash, version, revoked, at)
            VALUES (NEW.hash, NEW.version, NEW.status = 'REVOKED', NEW.updated_at); END;
    CREATE TRIGGER tenants_logged AFTER UPDATE OF status, plan, code, per_minute, per_day ON tenants
        WHEN NEW.status <> OLD.status OR NEW.plan IS NOT OLD.plan OR NEW.code IS NOT OLD.code
            OR NEW.per_minute IS NOT OLD.per_minute OR NEW.per_day IS NOT OLD.per_day BEGIN
        REPLACE INTO changes (tenant_id, at) VALUES (NEW.id, NEW.updated_at); UPDATE tenants
            SET change = (SELECT number FROM changes WHERE tenant_id = NEW.id) WHERE id = NEW.id; END
",
    },
    // Of an hour that may be told again, what is known of it; and the sums of days.
    Addition {
        name: "usage of routes",
        statements: "
    ALTER TABLE usage ADD COLUMN routes TEXT;
    CREATE INDEX usage_with_routes ON usage (hour) WHERE routes IS NOT NULL;
    CREATE TABLE usage_routes (
        tenant_id TEXT NOT NULL,
        day INTEGER NOT NULL,
        route TEXT NOT NULL,
        accepted INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, day, route)
    ) STRICT;
    CREATE INDEX usage_routes_by_day ON usage_routes (day)
",
    },
    // A change of these alone is a change of the record, which the triggers of "what has changed" do not see.
    Addition {
        name: "limits of every window",
        statements: "
    ALTER TABLE keys ADD COLUMN per_second INTEGER;
    ALTER TABLE keys ADD COLUMN per_hour INTEGER;
    ALTER TABLE keys ADD COLUMN per_month INTEGER;
    ALTER TABLE keys ADD COLUMN total INTEGER;
    ALTER TABLE tenants ADD COLUMN per_second INTEGER;
    ALTER TABLE tenants ADD COLUMN per_hour INTEGER;
    ALTER TABLE tenants ADD COLUMN per_month INTEGER;
    ALTER TABLE tenants ADD COLUMN total INTEGER;
    CREATE TRIGGER keys_limits_logged AFTER UPDATE OF version ON keys WHEN NEW.version > OLD.version AND (
        NEW.per_second IS NOT OLD.per_second OR NEW.per_hour IS NOT OLD.per_hour
        OR NEW.per_month IS NOT OLD.per_month OR NEW.total IS NOT OLD.total) BEGIN
        REPLACE INTO changes (hash, version, revoked, at)
            VALUES (NEW.hash, NEW.version, NEW.status = 'REVOKED', NEW.updated_at); END;
    CREATE TRIGGER tenants_limits_logged AFTER UPDATE OF per_second, per_hour, per_month, total ON tenants
        WHEN NEW.per_second IS NOT OLD.per_second OR NEW.per_hour IS NOT OLD.per_hour
            OR NEW.per_month IS NOT OLD.per_month OR NEW.total IS NOT OLD.total BEGIN
        REPLACE INTO changes (tenant_id, at) VALUES (NEW.id, NEW.updated_at); UPDATE tenants
            SET change = (SELECT number FROM changes WHERE tenant_id = NEW.id) WHERE id = NEW.id; END
",
    },
    Addition {
        name: "limits of requests in flight",
        statements: "
    ALTER TABLE keys ADD COLUMN in_flight INTEGER;
    ALTER TABLE tenants ADD COLUMN in_flight INTEGER;
    CREATE TRIGGER keys_in_flight_logged AFTER UPDATE OF version ON keys
        WHEN NEW.version > OLD.version AND NEW.in_flight IS NOT OLD.in_flight BEGIN
        REPLACE INTO changes (hash, version, revoked, at)
            VALUES (NEW.hash, NEW.version, NEW.status = 'REVOKED', NEW.updated_at); END;
    CREATE TRIGGER tenants_in_flight_logged AFTER UPDATE OF in_flight ON tenants
        WHEN NEW.in_flight IS NOT OLD.in_flight BEGIN
        REPLACE INTO changes (tenant_id, at) VALUES (NEW.id, NEW.updated_at); UPDATE tenants
            SET change = (SELECT number FROM changes WHERE tenant_id = NEW.id) WHERE id = NEW.id; END
",
    },
    // Whatever changes a tenant, its pool's object is told: the number of the change is the version of its record.
    Addition {
        name: "limits of a whole tenant",
        statements: "
    ALTER TABLE tenants ADD COLUMN pool TEXT;
    ALTER TABLE tenants ADD COLUMN pool_told INTEGER;
    ALTER TABLE tenants ADD COLUMN pool_told_at INTEGER;
    ALTER TABLE tenants ADD COLUMN pool_due INTEGER;
    CREATE INDEX tenants_pool_due ON tenants (pool_due) WHERE pool_due IS NOT NULL;
    CREATE TRIGGER tenants_pool_logged AFTER UPDATE OF pool ON tenants WHEN NEW.pool IS NOT OLD.pool BEGIN
        REPLACE INTO changes (tenant_id, at) VALUES (NEW.id, NEW.updated_at); UPDATE tenants
            SET change = (SELECT number FROM changes WHERE tenant_id = NEW.id) WHERE id = NEW.id; END;
    CREATE TRIGGER tenants_pool_due AFTER UPDATE OF change ON tenants WHEN NEW.change > OLD.change
        AND (NEW.pool IS NOT NULL OR NEW.plan IS NOT NULL OR NEW.pool_told IS NOT NULL) BEGIN
        UPDATE tenants SET pool_due = NEW.updated_at WHERE id = NEW.id; END
",
    },
    // Only where an origin is told of metadata is it part of the record. An older build that writes a realm forgets that it is,
    // and the next one that knows publishes the realm's keys again.
    Addition {
        name: "metadata that origins are told",
        statements: "
    ALTER TABLE realms ADD COLUMN told_metadata TEXT;
    CREATE TRIGGER keys_metadata_logged AFTER UPDATE OF version ON keys
        WHEN NEW.version > OLD.version AND NEW.metadata <> OLD.metadata
        AND EXISTS (SELECT 1 FROM realms WHERE id = NEW.realm AND told_metadata IS NOT NULL) BEGIN
        REPLACE INTO changes (hash, version, revoked, at)
            VALUES (NEW.hash, NEW.version, NEW.status = 'REVOKED', NEW.updated_at); END
",
    },
    // Triggers, so that no operation can forget its event, in an older build either. Nothing is written while the policy names no
    // endpoint. A revocation waits in `event_revocations` until it is known from when on it holds everywhere. `notice_at` is when a
    // key's expiry is told next; what an expiry that is set leaves no time for is not told.
    Addition {
        name: "events",
        statements: "
    CREATE TABLE events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE DEFAULT ('evt_' || lower(hex(randomblob(16)))),
        type TEXT NOT NULL,
        tenant_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        at INTEGER NOT NULL,
        data TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_of_tenant ON events (tenant_id, number);
    CREATE TABLE event_endpoints (
        name TEXT PRIMARY KEY,
        queued INTEGER NOT NULL,
        failures INTEGER NOT NULL DEFAULT 0,
        due INTEGER NOT NULL DEFAULT 0,
        delivered TEXT,
        delivered_at INTEGER,
        failing_since INTEGER,
        error TEXT,
        gone_at INTEGER,
        lost INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE event_deliveries (
        endpoint TEXT NOT NULL,
        number INTEGER NOT NULL,
        subject TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (endpoint, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX event_deliveries_of_subject ON event_deliveries (endpoint, subject, number);
    CREATE TABLE event_revocations (
        key_id TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        data TEXT NOT NULL
    ) STRICT;
    CREATE TABLE event_marks (
        subject TEXT NOT NULL,
        what TEXT NOT NULL,
        at INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (subject, what)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX event_marks_by_end ON event_marks (until);
    CREATE TABLE event_search (idle_since INTEGER NOT NULL, number INTEGER NOT NULL) STRICT;
    INSERT INTO event_search VALUES (0, 0);
    ALTER TABLE keys ADD COLUMN idle_since INTEGER
        GENERATED ALWAYS AS (MAX(COALESCE(last_used_at, 0), created_at)) VIRTUAL;
    CREATE INDEX keys_idle ON keys (idle_since) WHERE status = 'ACTIVE';
    ALTER TABLE keys ADD COLUMN notice_at INTEGER;
    CREATE INDEX keys_to_notice ON keys (notice_at) WHERE notice_at IS NOT NULL;
    UPDATE keys SET notice_at = ends_at - 2592000000 WHERE status = 'ACTIVE' AND ends_at < 9007199254740991;
    CREATE TRIGGER keys_notice_made AFTER INSERT ON keys WHEN NEW.ends_at < 9007199254740991 BEGIN
        UPDATE keys SET notice_at = (SELECT MIN(NEW.ends_at - value * 86400000) FROM json_each('[30,7,1]')
            WHERE NEW.ends_at - value * 86400000 > NEW.created_at) WHERE id = NEW.id; END;
    CREATE TRIGGER keys_notice_changed AFTER UPDATE OF expires_at, paused_expiry, status ON keys
        WHEN NEW.ends_at <> OLD.ends_at OR NEW.status <> OLD.status BEGIN
        UPDATE keys SET notice_at = (SELECT MIN(NEW.ends_at - value * 86400000) FROM json_each('[30,7,1]')
            WHERE NEW.ends_at - value * 86400000 > NEW.updated_at
                AND NEW.ends_at < 9007199254740991 AND NEW.status = 'ACTIVE') WHERE id = NEW.id; END;
    CREATE TRIGGER keys_event_made AFTER INSERT ON keys WHEN EXISTS (SELECT 1 FROM event_endpoints) BEGIN
        INSERT INTO events (type, tenant_id, subject, at, data)
        VALUES ('key.created', NEW.tenant_id, NEW.id, NEW.created_at, json_object(
            'keyId', NEW.id, 'tenantId', NEW.tenant_id, 'realm', NEW.realm, 'name', NEW.name,
            'expiresAt', NULLIF(NEW.ends_at, 9007199254740991), 'rotatedFrom', NEW.rotated_from,
            'imported', json(iif(NEW.imported_as IS NULL, 'false', 'true')),
            'by', json_remove(NEW.created_by, '$.email'))); END;
    CREATE TRIGGER keys_event_rotated AFTER UPDATE OF rotated_to ON keys
        WHEN NEW.rotated_to IS NOT NULL AND NEW.rotated_to IS NOT OLD.rotated_to
            AND EXISTS (SELECT 1 FROM event_endpoints) BEGIN
        INSERT INTO events (type, tenant_id, subject, at, data)
        SELECT 'key.rotated', NEW.tenant_id, NEW.id, created_at, json_object(
            'keyId', NEW.id, 'tenantId', NEW.tenant_id, 'realm', NEW.realm, 'name', NEW.name,
            'expiresAt', NULLIF(NEW.ends_at, 9007199254740991), 'rotatedTo', id,
            'by', json_remove(created_by, '$.email')) FROM keys WHERE id = NEW.rotated_to; END;
    CREATE TRIGGER keys_event_revoked AFTER UPDATE OF status ON keys
        WHEN NEW.status = 'REVOKED' AND OLD.status <> 'REVOKED' AND EXISTS (SELECT 1 FROM event_endpoints) BEGIN
        INSERT OR REPLACE INTO event_revocations (key_id, tenant_id, at, data)
        VALUES (NEW.id, NEW.tenant_id, COALESCE(NEW.revoked_at, NEW.updated_at), json_object(
            'keyId', NEW.id, 'tenantId', NEW.tenant_id, 'realm', NEW.realm, 'name', NEW.name,
            'reason', NEW.revoke_reason, 'by', json_remove(NEW.revoked_by, '$.email'))); END;
    CREATE TRIGGER keys_event_removed AFTER DELETE ON keys
        WHEN EXISTS (SELECT 1 FROM event_revocations WHERE key_id = OLD.id) BEGIN
        INSERT INTO events (type, tenant_id, subject, at, data)
        SELECT 'key.revoked', tenant_id, key_id, at, json_set(data, '$.refusedEverywhereBy', OLD.told_at)
        FROM event_revocations WHERE key_id = OLD.id; DELETE FROM event_revocations WHERE key_id = OLD.id; END;
    CREATE TRIGGER audit_event_leaked AFTER INSERT ON audit
        WHEN NEW.action = 'key.leaked' AND EXISTS (SELECT 1 FROM event_endpoints) BEGIN
        INSERT INTO events (type, tenant_id, subject, at, data)
        SELECT 'key.leaked', tenant_id, id, CAST(round(unixepoch(NEW.time, 'subsec') * 1000) AS INTEGER),
            json_object('keyId', id, 'tenantId', tenant_id, 'realm', realm, 'name', name)
        FROM keys WHERE id = NEW.target; END
  ",
    },
    // Counts of what a scrape shows, by triggers as well: it must not go through all keys. `counters` only grow; `state_counts` are
    // how many there are now. A key that is paused has the expiry 0.
    Addition {
        name: "metrics",
        statements: "
    CREATE TABLE counters (
        what TEXT NOT NULL,
        realm TEXT NOT NULL,
        name TEXT NOT NULL,
        count INTEGER NOT NULL,
        day INTEGER NOT NULL,
        PRIMARY KEY (what, realm, name)
    ) STRICT;
    CREATE TABLE state_counts (
        what TEXT NOT NULL,
        realm TEXT NOT NULL,
        state TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (what, realm, state)
    ) STRICT;
    ALTER TABLE keys ADD COLUMN state TEXT GENERATED ALWAYS AS
        (CASE WHEN status = 'REVOKED' THEN 'revoked' WHEN expires_at = 0 THEN 'paused' ELSE 'active' END) VIRTUAL;
    INSERT INTO state_counts SELECT 'key', realm, state, COUNT(*) FROM keys GROUP BY realm, state;
    INSERT INTO state_counts SELECT 'tenant', '', lower(status), COUNT(*) FROM tenants GROUP BY status;
    CREATE TRIGGER keys_counted AFTER INSERT ON keys BEGIN
        INSERT INTO state_counts VALUES ('key', NEW.realm, NEW.state, 1)
        ON CONFLICT (what, realm, state) DO UPDATE SET count = count + 1; END;
    CREATE TRIGGER keys_recounted AFTER UPDATE OF status, expires_at ON keys WHEN NEW.state <> OLD.state BEGIN
        UPDATE state_counts SET count = count - 1 WHERE what = 'key' AND realm = OLD.realm AND state = OLD.state; INSERT INTO
        state_counts VALUES ('key', NEW.realm, NEW.state, 1)
        ON CONFLICT (what, realm, state) DO UPDATE SET count = count + 1; END;
    CREATE TRIGGER keys_uncounted AFTER DELETE ON keys BEGIN
        UPDATE state_counts SET count = count - 1 WHERE what = 'key' AND realm = OLD.realm AND state = OLD.state; END;
    CREATE TRIGGER tenants_counted AFTER INSERT ON tenants BEGIN
        INSERT INTO state_counts VALUES ('tenant', '', lower(NEW.status), 1)
        ON CONFLICT (what, realm, state) DO UPDATE SET count = count + 1; END;
    CREATE TRIGGER tenants_recounted AFTER UPDATE OF status ON tenants WHEN NEW.status <> OLD.status BEGIN
        UPDATE state_counts SET count = count - 1 WHERE what = 'tenant' AND state = lower(OLD.status); INSERT INTO
        state_counts VALUES ('tenant', '', lower(NEW.status), 1)
        ON CONFLICT (what, realm, state) DO UPDATE SET count = count + 1; END
",
    },
    // At most one row: the backup that is being restored, or was, and how far KV was searched for keys that are not in it.
    Addition {
        name: "restores",
        statements: "
    CREATE TABLE restores (
        backup TEXT NOT NULL,
        made_at INTEGER NOT NULL,
        page INTEGER NOT NULL,
        mac TEXT NOT NULL,
        done_at INTEGER,
        search_from TEXT NOT NULL,
        search_due INTEGER
    ) STRICT
",
    },
    Addition {
        name: "home",
        statements: "CREATE TABLE home (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            jurisdiction TEXT,
            is_marked INTEGER NOT NULL DEFAULT 0
        ) STRICT",
    },
    // What is remembered of a key for good (a share of a total) goes with it.
    Addition {
        name: "marks of events go with their key",
        statements: "
    DELETE FROM event_marks WHERE until = 9007199254740991 AND subject NOT IN (SELECT id FROM keys);
    CREATE TRIGGER keys_marks_removed AFTER DELETE ON keys BEGIN
        DELETE FROM event_marks WHERE subject = OLD.id; END
",
    },
];
