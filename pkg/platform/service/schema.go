package service

import _ "embed"

// SchemaSQL creates the tables that every service has in its own schema. A new service's first migration has it.
//
//go:embed schema.sql
var SchemaSQL string
