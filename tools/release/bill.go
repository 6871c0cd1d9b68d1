package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bill writes what the archive's programs are made of, as the programs themselves
// say it: every module that was linked in, with its version and hash, and Go's
// standard library.
func (r *release) bill(p platform) (string, error) {
	name := fmt.Sprintf("lpbridge_%s_%s.cdx.json", r.version, p.folder())
	var infos []*debug.BuildInfo
	for _, program := range programs {
		info, err := buildinfo.ReadFile(filepath.Join(r.out, "image", p.folder(), program))
		if err != nil {
			return "", err
		}
		infos = append(infos, info)
	}
	bom, err := r.billOf(p, infos)
	if err != nil {
		return "", err
	}
	file, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return "", err
	}
	if err := cdx.NewBOMEncoder(file, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		file.Close()
		return "", err
	}
	return name, file.Close()
}

// billOf is the bill of an archive. It holds nothing but what was built.
func (r *release) billOf(p platform, infos []*debug.BuildInfo) (*cdx.BOM, error) {
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{
		Timestamp: r.at.Format(time.RFC3339),
		Component: &cdx.Component{
			BOMRef: "lpbridge", Type: cdx.ComponentTypeApplication, Name: "lpbridge", Version: r.version,
			Description: "For " + p.String() + ", with " + strings.Join(programs, " and ") + ".",
		},
	}
	var components []cdx.Component
	var refs []string
	known := map[string]bool{}
	take := func(c cdx.Component) {
		if !known[c.BOMRef] {
			known[c.BOMRef] = true
			components, refs = append(components, c), append(refs, c.BOMRef)
		}
	}
	for _, info := range infos {
		take(library("std", strings.TrimPrefix(info.GoVersion, "go"), nil))
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			sum, err := moduleHash(m)
			if err != nil {
				return nil, err
			}
			take(library(m.Path, m.Version, sum))
		}
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: "lpbridge", Dependencies: &refs}}
	return bom, nil
}

// library is a module as a package URL names it.
func library(path, version string, hashes *[]cdx.Hash) cdx.Component {
	url := "pkg:golang/" + path + "@" + version
	return cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: url, Hashes: hashes, Scope: cdx.ScopeRequired}
}

// moduleHash is the hash of go.sum, h1:BASE64, of a module's files.
func moduleHash(m *debug.Module) (*[]cdx.Hash, error) {
	text, ok := strings.CutPrefix(m.Sum, "h1:")
	sum, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(sum) != 32 {
		return nil, fmt.Errorf("%s %s has the sum %q, which is none of go.sum", m.Path, m.Version, m.Sum)
	}
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}, nil
}
