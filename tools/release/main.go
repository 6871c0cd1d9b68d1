// Command release builds what a release consists of, without a network: static
// binaries for every platform in archives, a bill of materials of each, checksums,
// and the binaries laid out for the image. docs/release.md tells what to do with them.
//
// The same commit and the same Go give the same bytes: times are the commit's, and
// nothing of the machine goes in. With -verify all is built a second time in
// another folder and compared, with -cold from an empty build cache too.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// platforms are what a release is built for.
var platforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}

// platform is a GOOS and a GOARCH.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// folder is the platform's in dist, and part of its archive's name.
func (p platform) folder() string { return p.os + "_" + p.arch }

// programs are what each archive holds.
var programs = []string{"lpbridge", "lpsim"}

// companions are files of the repository that each archive holds too.
var companions = []string{"CHANGELOG.md", "LICENSE", "README.md", "deploy/lpbridge.service", "deploy/nginx.conf", "deploy/Caddyfile"}

// release is one release about to be built.
type release struct {
	root, out string
	version   string
	at        time.Time
	platforms []platform
	log       io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	version := flags.String("version", "", "version, such as 1.2.3; the commit's when empty")
	out := flags.String("out", "dist", "folder to write to")
	host := flags.Bool("host", false, "build for this machine's platform only")
	verify := flags.Bool("verify", false, "build once more elsewhere and compare")
	cold := flags.Bool("cold", false, "the same, with an empty build cache")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	r := release{root: ".", out: *out, version: *version, platforms: platforms, log: log}
	if *host {
		r.platforms = []platform{{runtime.GOOS, runtime.GOARCH}}
	}
	if err := r.identify(ctx); err != nil {
		return err
	}
	if err := r.build(ctx, nil); err != nil {
		return err
	}
	if *verify || *cold {
		return r.verify(ctx, *cold)
	}
	return nil
}

// identify finds out which version is built, and of which time.
func (r *release) identify(ctx context.Context) error {
	seconds, err := r.ask(ctx, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("the commit's time: %w", err)
	}
	r.at = time.Unix(n, 0).UTC()
	if r.version != "" {
		return nil
	}
	commit, err := r.ask(ctx, "git", "rev-parse", "--short=12", "HEAD")
	r.version = "0.0.0-" + commit
	return err
}

// ask returns what a command prints.
func (r *release) ask(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = r.root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// build makes all that is released. Environment is added to that of the Go
// command.
func (r *release) build(ctx context.Context, environment []string) error {
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	var made []string
	for _, p := range r.platforms {
		began := time.Now()
		archive, err := r.platform(ctx, p, environment)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		bill, err := r.bill(p)
		if err != nil {
			return fmt.Errorf("bill of materials: %w", err)
		}
		made = append(made, archive, bill)
		fmt.Fprintf(r.log, "%s for %s in %s\n", archive, p, time.Since(began).Round(time.Second))
	}
	sums, err := checksums(r.out, made)
	if err != nil {
		return err
	}
	fmt.Fprint(r.log, sums)
	return os.WriteFile(filepath.Join(r.out, "checksums.txt"), []byte(sums), 0o644)
}

// platform builds the programs for one platform and packs them.
func (r *release) platform(ctx context.Context, p platform, environment []string) (archive string, err error) {
	folder, err := filepath.Abs(filepath.Join(r.out, "image", p.folder()))
	if err != nil {
		return "", err
	}
	// What the image is made of has a /tmp, and a /data beside it.
	for _, dir := range []string{filepath.Join(folder, "tmp"), filepath.Join(r.out, "image", "data")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	if err := os.Chmod(filepath.Join(folder, "tmp"), 0o777|os.ModeSticky); err != nil {
		return "", err
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.release=" + r.version, "-o", folder + string(filepath.Separator)}
	for _, name := range programs {
		args = append(args, "./cmd/"+name)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = r.root, os.Stderr
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS="), environment...)
	if err := cmd.Run(); err != nil {
		return "", err
	}
	name := fmt.Sprintf("lpbridge_%s_%s", r.version, p.folder())
	var entries []entry
	for _, program := range programs {
		entries = append(entries, entry{name + "/" + program, filepath.Join(folder, program), 0o755})
	}
	for _, path := range companions {
		entries = append(entries, entry{name + "/" + filepath.Base(path), filepath.Join(r.root, path), 0o644})
	}
	return name + ".tar.gz", pack(filepath.Join(r.out, name+".tar.gz"), entries, r.at)
}

// verify builds once more, from a copy of the commit in another folder, cold with
// an empty build cache, and compares the checksums.
func (r *release) verify(ctx context.Context, cold bool) error {
	work, err := os.MkdirTemp("", "lpbridge-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	again := *r
	again.root, again.out = filepath.Join(work, "elsewhere"), filepath.Join(work, "dist")
	again.log = io.Discard
	if err := r.copyTo(ctx, again.root); err != nil {
		return err
	}
	var environment []string
	if cold {
		environment = append(environment, "GOCACHE="+filepath.Join(work, "cache"))
	}
	fmt.Fprintln(r.log, "building once more elsewhere")
	if err := again.build(ctx, environment); err != nil {
		return err
	}
	one, err := os.ReadFile(filepath.Join(r.out, "checksums.txt"))
	if err != nil {
		return err
	}
	other, err := os.ReadFile(filepath.Join(again.out, "checksums.txt"))
	if err != nil {
		return err
	}
	if !bytes.Equal(one, other) {
		return fmt.Errorf("a second build differs, its checksums are\n%s", other)
	}
	fmt.Fprintln(r.log, "a second build is the same")
	return nil
}

// copyTo puts the commit's files into a folder.
func (r *release) copyTo(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	archive := folder + ".tar"
	if _, err := r.ask(ctx, "git", "archive", "--format=tar", "-o", archive, "HEAD"); err != nil {
		return err
	}
	_, err := r.ask(ctx, "tar", "-xf", archive, "-C", folder)
	return err
}
