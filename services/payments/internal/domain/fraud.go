package domain

import (
	"errors"
	"fmt"
	"strings"

	"pasdetrois/pkg/messages"
)

// FraudLimits are the largest amounts that are not suspected of fraud, one for each currency. A currency without a limit
// gets no automatic decision: the number of another currency would stop small orders in yen and let large ones in dinars
// pass. The zero value has no limits.
type FraudLimits struct{ minor map[string]int64 } // by ISO 4217 code

// ParseFraudLimits reads "USD=900,JPY=130000": amounts in major units, each greater than 0, each currency once. A number
// alone is the limit in DefaultCurrency.
func ParseFraudLimits(list string) (FraudLimits, error) {
	limits := FraudLimits{minor: make(map[string]int64)}
	for _, entry := range strings.Split(list, ",") {
		code, amount, named := strings.Cut(strings.TrimSpace(entry), "=")
		if !named {
			code, amount = messages.DefaultCurrency, code
		}
		if code == "" {
			return FraudLimits{}, fmt.Errorf("fraud limit %q has no currency: write %s=900", entry, messages.DefaultCurrency)
		}
		currency, known := messages.ParseCurrency(code)
		if !known {
			return FraudLimits{}, fmt.Errorf("fraud limit %q: %q is not an ISO 4217 currency code", entry, code)
		}
		if _, twice := limits.minor[currency]; twice {
			return FraudLimits{}, fmt.Errorf("fraud limit %q: %s has a limit already", entry, currency)
		}
		m, err := messages.ParseMoneyStrict(amount, currency)
		switch {
		case errors.Is(err, messages.ErrAmountNegative), err == nil && m.Minor == 0:
			return FraudLimits{}, fmt.Errorf("fraud limit %q must be more than 0", entry)
		case err != nil:
			return FraudLimits{}, fmt.Errorf("fraud limit %q: write an amount in major units, such as %s=900: %w", entry, currency, err)
		}
		limits.minor[currency] = m.Minor
	}
	return limits, nil
}

// Suspects reports whether amount is over the limit of its currency. An amount in an unknown currency is suspicious.
func (l FraudLimits) Suspects(amount messages.Money) bool {
	if limit, ok := l.minor[amount.Currency]; ok {
		return amount.Minor > limit
	}
	_, known := messages.Exponent(amount.Currency)
	return !known
}
