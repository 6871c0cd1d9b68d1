package lpauth

// AccountID is a LivePerson account, also called site id and brand id ("Domain
// API" page).
type AccountID string

// ConsumerIdentity is the ext_consumer_id by which we name an end user towards
// LivePerson ("Authorization and Authentication" page). LivePerson advises that it be unguessable, unique per user and
// never recycled; it must not be a bare phone number or e-mail address.
type ConsumerIdentity string

// ConsumerID is LivePerson's own id of a consumer, lp_consumer_id: what
// webhooks carry as originatorId and as participant id of role CONSUMER
// ("Authorization and Authentication" and "Webhooks Events" pages).
type ConsumerID string
