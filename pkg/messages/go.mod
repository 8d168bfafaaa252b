module pasdetrois/pkg/messages

go 1.26.0
