package app

// Configured returns what a was made with.
func (a *App) Configured() Config { return a.cfg }
