// Package learn asks a LivePerson account what LivePerson's documentation leaves open: which status an error has, whether
// optional fields may be null, what the request limit counts. Whoever has an account can settle it in a minute; the
// simulator takes the answers as its knobs and then behaves as that account does.
//
// It makes real conversations of consumers it invents, says what an agent will see of that ([Announcement]), and closes
// each of them. Its requests are raw on purpose, for the client of package connector makes none of these mistakes. The
// report holds statuses, codes and numbers: no secret, no id, no text.
//
// It assumes an account for trials, or one whose agents were told.
package learn
