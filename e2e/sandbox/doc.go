// Package sandbox holds end-to-end tests of a whole sandbox, bridge and simulator in
// one process, and of two replicas on a PostgreSQL. They have the build tag e2e, because
// they need Node.js, Chromium, PostgreSQL and the clients that others have published:
// e2e/run installs those clients and runs the tests.
package sandbox
