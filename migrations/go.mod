module pasdetrois/migrations

go 1.26.0

