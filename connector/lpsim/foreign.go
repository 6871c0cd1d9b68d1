package lpsim

import "github.com/google/uuid"

// StartForeign opens a conversation of a consumer that belongs to another connector. Its notifications come to our
// webhooks all the same.
func (s *Sim) StartForeign(text string) string {
	ext := "foreign:" + uuid.NewString()
	claims := consumerClaims{s.app.Account, ext, s.app.consumerID(ext, "")}
	c := newConversation(claims, nil, s.app.Now())
	c.foreign = true
	s.messaging.begin(c, nil)
	if text != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lastText = text
		s.messaging.post(c, c.main(), Entry{
			Role: RoleConsumer, OriginatorID: claims.LPConsumerID, Type: "ContentEvent", ContentType: "text/plain", Text: text, Audience: audienceAll,
		}, nil)
	}
	return c.id
}
