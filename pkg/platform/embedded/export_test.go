package embedded

import "context"

// Source lets tests say where binaries may come from.
type Source struct {
	Path       string
	Places     []string
	Kept       string
	Repository string
}

func (s Source) Binaries(ctx context.Context) (string, error) {
	return source{path: s.Path, places: s.Places, kept: s.Kept, repository: s.Repository, version: versions[usualVersion]}.binaries(ctx)
}

// The parts of ScratchFolder, for folders and numbers of a test's own.
var (
	HasRoom       = hasRoom
	RemoveOrphans = removeOrphans
	ScratchIn     = scratchIn
	ScratchName   = scratchName
)
