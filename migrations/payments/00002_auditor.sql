-- +goose Up

-- The audit reads everything and changes nothing.
GRANT USAGE ON SCHEMA payments TO auditor;
GRANT SELECT ON payments, provider_ledger, dead_letters TO auditor;

-- +goose Down
REVOKE SELECT ON payments, provider_ledger, dead_letters FROM auditor;
REVOKE USAGE ON SCHEMA payments FROM auditor;
