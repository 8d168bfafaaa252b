package signing

import (
	"crypto/sha256"
	"errors"
)

// maxLeaves keeps paths short: five digests, 216 characters in the header.
const maxLeaves = 32

// maxPath bounds the work for a header that somebody else wrote.
const maxPath = 16 * sha256.Size

func parent(left, right digest) digest {
	b := make([]byte, 0, 1+2*sha256.Size)
	b = append(b, isNode)
	b = append(b, left[:]...)
	return sha256.Sum256(append(b, right[:]...))
}

// treeOf returns the root over the leaves, one or more, and the path of each leaf: the digests beside its way to the root, the lowest
// first. A level with an odd number of digests is filled up with a zero.
func treeOf(leaves []digest) (root digest, paths [][]byte) {
	paths = make([][]byte, len(leaves))
	level := append(make([]digest, 0, len(leaves)+1), leaves...)
	for depth := 0; len(level) > 1; depth++ {
		if len(level)%2 == 1 {
			level = append(level, digest{})
		}
		for i := range paths {
			beside := level[i>>depth^1]
			paths[i] = append(paths[i], beside[:]...)
		}
		above := make([]digest, len(level)/2, len(level)/2+1)
		for i := range above {
			above[i] = parent(level[2*i], level[2*i+1])
		}
		level = above
	}
	return level[0], paths
}

// rootOf returns the root that the leaf at a place and its path lead to.
func rootOf(leaf digest, at int, path []byte) (digest, error) {
	if at < 0 || len(path)%sha256.Size != 0 || len(path) > maxPath || at>>(len(path)/sha256.Size) != 0 {
		return digest{}, errors.New("its path is none of a signature")
	}
	for ; len(path) > 0; at, path = at/2, path[sha256.Size:] {
		beside := digest(path[:sha256.Size])
		if at%2 == 0 {
			leaf = parent(leaf, beside)
		} else {
			leaf = parent(beside, leaf)
		}
	}
	return leaf, nil
}
