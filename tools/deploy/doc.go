// Package deploy holds the tests of what is in the folder deploy that need
// libraries the program does not: the Helm chart is linted, rendered with Helm's own
// engine, decoded strictly as the types of Kubernetes and compared with what was
// rendered before; the compose file is read as compose reads it.
//
// It is a module of its own, so that Helm and Kubernetes are not dependencies of
// the program.
package deploy
