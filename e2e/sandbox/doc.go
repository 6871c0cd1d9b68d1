// Package sandbox holds end-to-end tests of a whole sandbox, bridge and simulator in
// one process. They have the build tag e2e, because they need Node.js, Chromium and
// the clients that others have published: e2e/run installs those and runs them.
package sandbox
