-- The schema of version 1, as it was first written.
CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TYPE direction AS ENUM ('consumption', 'surplus-generation');
CREATE SEQUENCE file_ids;
CREATE SEQUENCE entry_ids;
CREATE TABLE intervals (
     esiid VARCHAR NOT NULL,
     start TIMESTAMPTZ NOT NULL,
     direction direction NOT NULL,
     kwh DECIMAL(12,5) NOT NULL,
     estimated BOOLEAN NOT NULL,
     revision TIMESTAMPTZ,
     entry_id BIGINT NOT NULL,
     line UINTEGER NOT NULL
   );
CREATE TABLE files (
     file_id BIGINT PRIMARY KEY DEFAULT nextval('file_ids'),
     fingerprint VARCHAR NOT NULL UNIQUE,
     source VARCHAR NOT NULL,
     path VARCHAR NOT NULL,
     name VARCHAR NOT NULL,
     size BIGINT NOT NULL,
     modified_at TIMESTAMPTZ NOT NULL,
     state VARCHAR NOT NULL,
     epoch INTEGER NOT NULL,
     fetched_sha256 VARCHAR,
     payload_sha256 VARCHAR,
     duplicate_of VARCHAR,
     code VARCHAR,
     reason VARCHAR,
     receipt VARCHAR,
     first_seen_at TIMESTAMPTZ NOT NULL DEFAULT now(),
     updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
   );
CREATE TABLE entries (
     entry_id BIGINT PRIMARY KEY DEFAULT nextval('entry_ids'),
     file_id BIGINT NOT NULL,
     ordinal INTEGER NOT NULL,
     name VARCHAR NOT NULL,
     kind VARCHAR NOT NULL,
     outcome VARCHAR NOT NULL,
     layout VARCHAR,
     header VARCHAR,
     bytes BIGINT NOT NULL,
     crc32 VARCHAR,
     rows_read BIGINT NOT NULL,
     rows_accepted BIGINT NOT NULL,
     rows_rejected BIGINT NOT NULL,
     rows_placeholder BIGINT NOT NULL,
     rows_missing BIGINT NOT NULL,
     rows_repeated_header BIGINT NOT NULL,
     parser_version INTEGER NOT NULL
   );
CREATE TABLE rejects (
     entry_id BIGINT NOT NULL,
     line UINTEGER NOT NULL,
     byte_offset BIGINT NOT NULL,
     code VARCHAR NOT NULL
   );
INSERT INTO schema_version VALUES (1);
