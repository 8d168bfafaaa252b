module pasdetrois/e2e

go 1.26.0

replace (
	pasdetrois/cmd/pas => ../cmd/pas
	pasdetrois/migrations => ../migrations
	pasdetrois/pkg/messages => ../pkg/messages
	pasdetrois/pkg/platform => ../pkg/platform
	pasdetrois/services/notifications => ../services/notifications
	pasdetrois/services/orders => ../services/orders
	pasdetrois/services/payments => ../services/payments
)

require github.com/stretchr/testify v1.12.1

require go.yaml.in/yaml/v3 v3.0.5 // indirect
