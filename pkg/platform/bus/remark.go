package bus

// Remark is good news with something to know beside it: the readiness check passed.
type Remark struct{ text string }

func (r *Remark) Error() string { return r.text }

// remarkOf returns text as a Remark, behind one that there is already.
func remarkOf(before error, text string) error {
	if before != nil {
		text = before.Error() + "; " + text
	}
	return &Remark{text}
}

// Passed makes a readiness check that returns a Remark a passed one.
func (r *Remark) Passed() bool { return true }
