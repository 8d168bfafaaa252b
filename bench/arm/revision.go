package arm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"pasdetrois/bench/process"
)

// BuildServices builds the product's services, and more packages, from the repository in root into the folder
// bin. The flags keep paths and revisions out, so that equal sources give equal programs.
func BuildServices(ctx context.Context, root, bin string, more ...string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", bin + string(filepath.Separator)}
	for _, name := range Services() {
		args = append(args, "./services/"+name+"/cmd/"+name)
	}
	if _, err := process.Run(ctx, root, nil, "go", append(args, more...)...); err != nil {
		return fmt.Errorf("build the services: %w", err)
	}
	return nil
}

// migrator is a program that migrates a database by the migrations of its own revision. It needs nothing of
// that revision but migrations.Up.
const migrator = `package main

import (
	"context"
	"fmt"
	"os"

	"pasdetrois/migrations"
)

func main() {
	if err := migrations.Up(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`

// At is the product of another revision of the repository in root: its services on its own migrations. The
// programs are built from a git work tree in a temporary folder, so that the user's own tree stays untouched.
// They are kept in the user's cache folder for the next run, under the commit's full name.
func At(ctx context.Context, root, revision string) (a Arm, err error) {
	full, err := process.Run(ctx, root, nil, "git", "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return a, fmt.Errorf("%q is not a revision of this repository: %w", revision, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return a, fmt.Errorf("find the cache folder: %w", err)
	}
	full = strings.TrimSpace(full)
	bin := filepath.Join(cache, "pasdetrois-bench", full)
	if _, err := os.Stat(bin); err != nil {
		if err := buildAt(ctx, root, full, bin); err != nil {
			return a, fmt.Errorf("build the product of %s: %w", revision, err)
		}
	}
	up := func(ctx context.Context, adminURL string) error {
		_, err := process.Run(ctx, "", nil, filepath.Join(bin, "migrate"), adminURL)
		return err
	}
	return Arm{Name: "pas@" + full[:7], Start: func(ctx context.Context, e Env) (*Running, error) {
		e.Bin = bin
		return startPas(ctx, e, up, Services()...)
	}}, nil
}

// buildAt builds a commit into the folder bin. The folder appears by a rename when all programs are in it: an
// interrupted build leaves no half-filled cache.
func buildAt(ctx context.Context, root, commit, bin string) (err error) {
	if err := os.MkdirAll(filepath.Dir(bin), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "pasdetrois-revision-")
	if err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	defer func() {
		_, gone := process.Run(context.WithoutCancel(ctx), root, nil, "git", "worktree", "remove", "--force", tree)
		err = errors.Join(err, gone, os.RemoveAll(work))
	}()
	if _, err := process.Run(ctx, root, nil, "git", "worktree", "add", "--detach", tree, commit); err != nil {
		return err
	}
	folder := filepath.Join(tree, "migrations", "migrate")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(migrator), 0o600); err != nil {
		return err
	}
	built, err := os.MkdirTemp(filepath.Dir(bin), "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(built)
	if err := BuildServices(ctx, tree, built, "./migrations/migrate"); err != nil {
		return err
	}
	if err := os.Chmod(built, 0o755); err != nil { // others than the owner may read programs
		return err
	}
	return os.Rename(built, bin)
}
