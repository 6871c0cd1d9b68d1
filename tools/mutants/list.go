package main

// mutant is one promise and how it is broken.
type mutant struct {
	name string
	file string
	// old stands in the file once; broken takes its place.
	old, broken string
	// packages are those whose tests must notice.
	packages []string
}

var (
	lanes  = []string{"./bridge/relay/lane", "./bridge/relay"}
	engine = []string{"./bridge/relay"}
)

// mutants are the promises whose breaking must be noticed.
var mutants = []mutant{
	{
		name: "the next delivery begins before the outcome of the one before is on disk",
		file: "bridge/relay/lane/set.go", old: "\tif len(l.open) > 0 {\n", broken: "\tif len(l.open) > 1000 {\n",
		packages: lanes,
	},
	{
		name: "doubt that stands on disk is not believed",
		file: "bridge/relay/lane/load.go", old: "\t\ts.hold(l, e)\n", broken: "\t\te.Doubt = nil\n\t\ts.hold(l, e)\n",
		packages: lanes,
	},
	{
		name: "threads of one consumer open conversations at the same time",
		file: "bridge/relay/opening.go", old: "o.opening.lock(ctx, ext)", broken: "o.opening.lock(ctx, string(key.Thread))",
		packages: engine,
	},
	{
		name: "a conversation that was taken over stays with the thread it left",
		file: "bridge/relay/directory.go", old: "c.Channel, c.Thread, c.Announced = to.Channel, to.Thread, false", broken: "c.Announced = false",
		packages: engine,
	},
	{
		name: "an older state of a conversation counts",
		file: "bridge/conversation.go", old: "case n.LastUpdate != 0 && n.LastUpdate < c.Updated:", broken: "case n.LastUpdate != 0 && n.LastUpdate < 0:",
		packages: engine,
	},
	{
		name: "an echo does not ask the ledger",
		file: "bridge/relay/echo.go", old: "if len(known) > 0 || err != nil {", broken: "if len(known) > 1000 || err != nil {",
		packages: engine,
	},
	{
		name: "an echo in other words settles one of two",
		file: "bridge/relay/lane/echo.go", old: "len(all) == 1 && a.Resembles", broken: "len(all) >= 1 && a.Resembles",
		packages: lanes,
	},
	{
		name: "an echo in other words settles nothing",
		file: "bridge/relay/lane/echo.go", old: "len(all) == 1 && a.Resembles", broken: "len(all) == 1000 && a.Resembles",
		packages: lanes,
	},
	{
		name: "a conversation that was refused is not left",
		file: "bridge/relay/verdict.go", old: "case e.Kind != bridge.KindMessage && conversationRefused(err):", broken: "case conversationRefused(err):",
		packages: engine,
	},
}
