//! The tables of the first release.

/// What the first release has run. None is edited or added: an older build refuses a database that has seen more.
pub const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE tenants (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        plan TEXT,
        per_minute INTEGER,
        per_day INTEGER,
        operator INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE members (
        id TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        email TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL,
        password TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX members_of_tenant ON members (tenant_id, created_at);

    CREATE TABLE sessions (
        hash TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        member_id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        stepped_up_at INTEGER
    ) STRICT;
    CREATE INDEX sessions_of_member ON sessions (member_id);
    CREATE INDEX sessions_by_expiry ON sessions (expires_at);

    CREATE TABLE attempts (
        number INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX attempts_of_subject ON attempts (subject, at);
    CREATE INDEX attempts_by_time ON attempts (at);

    CREATE TABLE keys (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        tenant_id TEXT NOT NULL,
        realm TEXT NOT NULL,
        kind TEXT NOT NULL,
        mode TEXT NOT NULL,
        name TEXT NOT NULL,
        prefix TEXT NOT NULL,
        last4 TEXT NOT NULL,
        hash TEXT NOT NULL UNIQUE,
        status TEXT NOT NULL,
        version INTEGER NOT NULL,
        scopes TEXT NOT NULL,
        per_minute INTEGER,
        per_day INTEGER,
        allowed_ips TEXT NOT NULL,
        allowed_origins TEXT NOT NULL,
        tags TEXT NOT NULL,
        metadata TEXT NOT NULL,
        search TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        updated_at INTEGER NOT NULL,
        expires_at INTEGER,
        last_used_at INTEGER,
        revoked_at INTEGER,
        revoke_reason TEXT,
        rotated_from TEXT,
        rotated_to TEXT,
        told_version INTEGER NOT NULL DEFAULT 0,
        told_at INTEGER,
        publish_due INTEGER,
        publish_attempts INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX keys_of_tenant ON keys (tenant_id, number);
    CREATE INDEX keys_of_realm ON keys (tenant_id, realm, number);
    CREATE INDEX keys_due ON keys (publish_due) WHERE publish_due IS NOT NULL;

    CREATE TABLE idempotency (
        tenant_id TEXT NOT NULL,
        name TEXT NOT NULL,
        request TEXT NOT NULL,
        nonce TEXT NOT NULL,
        key_id TEXT NOT NULL,
        answer TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, name)
    ) STRICT;
    CREATE INDEX idempotency_by_time ON idempotency (created_at);

    CREATE TABLE audit (
        tenant_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        entry TEXT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (tenant_id, seq)
    ) STRICT;

    CREATE TABLE usage (
        tenant_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        hour INTEGER NOT NULL,
        accepted INTEGER NOT NULL,
        refused TEXT NOT NULL,
        PRIMARY KEY (key_id, hour)
    ) STRICT;
    CREATE INDEX usage_of_tenant ON usage (tenant_id, hour);

    CREATE TABLE realms (
        id TEXT PRIMARY KEY,
        limits TEXT NOT NULL
    ) STRICT
",
    "
    ALTER TABLE keys ADD COLUMN unsettled_until INTEGER
",
    "
    ALTER TABLE tenants ADD COLUMN code TEXT;
    CREATE UNIQUE INDEX tenants_by_code ON tenants (code COLLATE NOCASE)
",
    "
    CREATE TABLE links (
        id TEXT PRIMARY KEY,
        hash TEXT NOT NULL UNIQUE,
        tenant_id TEXT NOT NULL,
        realm TEXT NOT NULL,
        subject TEXT,
        session_id TEXT,
        expires_at INTEGER NOT NULL,
        used_at INTEGER
    ) STRICT;
    CREATE INDEX links_by_expiry ON links (expires_at)
",
    "
    ALTER TABLE keys ADD COLUMN strict INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE keys ADD COLUMN strict_since INTEGER
",
    // An end with milliseconds came from a grace: those that people set are whole seconds. The key that was made
    // then still says what the old one's own expiry was.
    "
    ALTER TABLE idempotency ADD COLUMN promised_at INTEGER;
    ALTER TABLE keys ADD COLUMN grace_ends_at INTEGER;
    ALTER TABLE keys ADD COLUMN own_expires_at INTEGER;
    UPDATE keys SET
        grace_ends_at = expires_at,
        own_expires_at = (SELECT successor.expires_at FROM keys AS successor WHERE successor.id = keys.rotated_to)
    WHERE expires_at % 1000 <> 0 AND EXISTS (
        SELECT 1 FROM keys AS successor
        WHERE successor.id = keys.rotated_to AND COALESCE(successor.expires_at, 0) % 1000 = 0
    )
",
];
