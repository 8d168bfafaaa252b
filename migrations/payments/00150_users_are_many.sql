-- +goose Up
-- A list of one user is found by the index of users, however few users there are and however many rows one of them has. With the
-- number of users that ANALYZE counts, the planner may go over the newest rows of everybody instead.
ALTER TABLE payments ALTER COLUMN user_id SET (n_distinct = -0.5);
ANALYZE payments (user_id);

-- +goose Down
ALTER TABLE payments ALTER COLUMN user_id RESET (n_distinct);
