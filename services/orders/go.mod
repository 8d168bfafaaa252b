module pasdetrois/services/orders

go 1.26.0

replace (
	pasdetrois/cmd/pas => ../../cmd/pas
	pasdetrois/migrations => ../../migrations
	pasdetrois/pkg/messages => ../../pkg/messages
	pasdetrois/pkg/platform => ../../pkg/platform
	pasdetrois/services/notifications => ../../services/notifications
	pasdetrois/services/payments => ../../services/payments
)
