module pasdetrois/cmd/pas

go 1.26.0

replace (
	pasdetrois/migrations => ../../migrations
	pasdetrois/pkg/messages => ../../pkg/messages
	pasdetrois/pkg/platform => ../../pkg/platform
	pasdetrois/services/notifications => ../../services/notifications
	pasdetrois/services/orders => ../../services/orders
	pasdetrois/services/payments => ../../services/payments
)
