package bus

// Remark is the result of a readiness check that passed, with a text for an operator. It is an error, so that it fits into the
// signature of a check; Passed distinguishes it from a failure.
type Remark struct{ text string }

func (r *Remark) Error() string { return r.text }

// remarkOf returns a Remark with text, after the text of before.
func remarkOf(before error, text string) error {
	if before != nil {
		text = before.Error() + "; " + text
	}
	return &Remark{text}
}

// Passed makes a readiness check with a Remark pass.
func (r *Remark) Passed() bool { return true }
