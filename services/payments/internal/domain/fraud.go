package domain

import (
	"errors"
	"fmt"

	"pasdetrois/pkg/messages"
)

// limitDigits is the largest number of decimals that a currency has.
const limitDigits = 4

// FraudLimit is the largest amount that is not suspected of fraud, in major units of whatever currency is paid in:
// 900.00 stands for 900 US dollars and for 900 yen. It is one plain number because rates are no business of this rule.
// The zero value suspects everything.
type FraudLimit struct{ units int64 } // of 1/10,000 major unit

// ParseFraudLimit reads a decimal number greater than 0 with at most four decimals.
func ParseFraudLimit(decimal string) (FraudLimit, error) {
	// CLF is the currency with four decimals: it makes the contract's exact decimal parser read that many.
	m, err := messages.ParseMoney(decimal, "CLF")
	switch {
	case errors.Is(err, messages.ErrAmountNegative), err == nil && m.Minor == 0:
		return FraudLimit{}, fmt.Errorf("fraud limit %q must be more than 0", decimal)
	case errors.Is(err, messages.ErrAmountTooLarge):
		return FraudLimit{}, fmt.Errorf("fraud limit %q is too large", decimal)
	case err != nil:
		return FraudLimit{}, fmt.Errorf("fraud limit %q must be a decimal number with at most %d decimals", decimal, limitDigits)
	}
	return FraudLimit{units: m.Minor}, nil
}

// Suspects reports whether amount is over the limit. An amount in no currency that we know is suspicious.
func (l FraudLimit) Suspects(amount messages.Money) bool {
	decimals, ok := messages.Exponent(amount.Currency)
	if !ok || decimals > limitDigits {
		return true
	}
	units := amount.Minor // at most messages.MaxMinor: four more digits cannot overflow
	for range limitDigits - decimals {
		units *= 10
	}
	return units > l.units
}
