package migrations

const BootstrapLock = bootstrapLock
