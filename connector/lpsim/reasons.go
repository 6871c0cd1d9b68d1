package lpsim

// HeaderReason and HeaderPage are on every answer that is not a success: why it is none, and the page of LivePerson's
// documentation that says so, if one does. LivePerson itself says neither.
const (
	HeaderReason = "X-Lpsim-Reason"
	HeaderPage   = "X-Lpsim-Page"
)

// Pages of LivePerson's documentation, by their titles.
const (
	pageDomain       = "Domain API"
	pageAuth         = "Authorization and Authentication"
	pageConversation = "Send API: CONVERSATION"
	pageSend         = "Send API: SEND"
	pageExamples     = "Send API: Examples"
	pageGuide        = "Getting started with Connector API"
	pageFiles        = "File Sharing"
	pageRetry        = "Retry Policy Recommendations"
	pageSurvey       = "Post Conversation Survey"
	pageRich         = "Rich Messaging Introduction"
	pageMonitoring   = "Monitoring API: Engagement"
	pageProfile      = "Get Agent Public Profile"
	pageLogin        = "Login Service API: User Login"
	pageLoggedIn     = "Login Service API: Overview"
	pageWebhooks     = "Webhooks Configuration"
	pageUsers        = "Users API: Update Users"
	pageHistory      = "Messaging Interactions API: Conversations"
	// undocumented marks what the simulator decides by a knob.
	undocumented = "undocumented; see the knobs"
)

// because remembers why a call will be refused; the first reason counts.
func (c *call) because(why, page string) {
	if c.reason == "" {
		c.reason, c.page = why, page
	}
}

// refused is a functional error with its reason.
func (c *call) refused(r *request, msg, why, page string) outcome {
	c.because(why, page)
	return outcome{reply: refusal(r.ID, msg)}
}

// badRequest is a functional error without a message of its own.
func (c *call) badRequest(r *request, why, page string) outcome {
	return c.refused(r, msgBadRequest, why, page)
}

// refusal is the same for an element of a batch.
func (c *call) refusal(id requestID, why, page string) reply {
	c.because(why, page)
	return refusal(id, msgBadRequest)
}

// deny gives an authorization error with its reason.
func (c *call) deny(e *authError, why string) *authError {
	c.because(why, pageAuth)
	return e
}
