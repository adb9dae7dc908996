package database

// Dialect holds what cannot be written the same for both databases.
type Dialect interface {
	// Name is "sqlite" or "postgres"; migrations of that folder apply.
	Name() string
	// ForUpdate is appended to a SELECT inside a transaction that goes on to change the row.
	ForUpdate() string
}

type sqliteDialect struct{}

func (sqliteDialect) Name() string      { return "sqlite" }
func (sqliteDialect) ForUpdate() string { return "" } // a transaction already has the only write lock

type postgresDialect struct{}

func (postgresDialect) Name() string      { return "postgres" }
func (postgresDialect) ForUpdate() string { return " FOR UPDATE" }
