package contractdoc

// describe says what a field is for. One name means one thing in all events.
func describe(field string) string {
	switch field {
	case "order_id":
		return "The order. Also the record's key. An integer is read as its decimal digits."
	case "user_id":
		return "The user whose order it is. An integer is read as its decimal digits."
	case "total":
		return "What the whole order costs, as an exact decimal."
	case "amount":
		return "What is paid or refunded, as an exact decimal."
	case "items":
		return "The lines of the order; each sku on one line only. An order without items reserves no stock."
	case "sku":
		return "The article."
	case "name":
		return "What the product is called."
	case "price":
		return "What one piece costs, as an exact decimal."
	case "stocked":
		return "All pieces that were ever added. The orders tell which of them are reserved or sold."
	case "version":
		return "Rises with each change of the product: of two events of one sku, the higher one is the newer."
	case "message_id":
		return "The id of the notification_requested that this is about: its header ce_id."
	case "quantity":
		return "How many of it."
	case "unit_price":
		return "What the sender took one to cost. Informative: the catalogue decides."
	case "payment_method":
		return "How to pay, by the provider's name for it. Missing: the default method."
	case "email":
		return "Where to write to about this order. Missing: the user's default address."
	case "payment_id":
		return "The provider's name for the payment."
	case "reason":
		return "Why: a code of the services such as out_of_stock, or text."
	case "message":
		return "The text for the user."
	case "channel":
		return "How the message reaches the user."
	case "kind":
		return "What the message is about: confirmed, rejected, failed, cancelled, fraud_alert. Others may be added."
	case "step":
		return "What led to the decision: the event that the orders service handled, http, or timeout."
	case "to":
		return "The address to write to. Missing: the user's default address."
	}
	return ""
}
