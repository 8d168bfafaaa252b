package domain

// The steps that name decisions in message ids (messages.ID). They are part of the contract: another name would give
// a repetition another id.
const (
	StepCapture = "capture"
	StepFail    = "fail"
	StepRefund  = "refund"
	StepVoid    = "void"
	StepTaken   = "taken"
)
