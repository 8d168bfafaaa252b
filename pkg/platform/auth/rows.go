package auth

// OnlyOf converts the result of Reads or Writes into the argument of a statement: the one user whose rows the statement may
// touch, nil for all rows. Use it as OnlyOf(caller.Reads()). In a statement the empty user equals no
// row's, by nullif: a caller without a user has no rows.
func OnlyOf(user string, only bool) *string {
	if !only {
		return nil
	}
	return &user
}

// Filter returns the user by whom a list is filtered, "" for none, when the client asks for the rows of asked ("" = of all that
// the caller may read). ok is false when no row can match: the caller reads only its own, and asks for another's. The list is
// empty then. It is not refused, because a filter selects among the rows that the caller may read.
func (c Caller) Filter(asked string) (user string, ok bool) {
	own, only := c.Reads()
	switch {
	case !only:
		return asked, true
	case own == "" || asked != "" && asked != own:
		return "", false
	}
	return own, true
}
