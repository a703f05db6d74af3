CREATE TABLE page_visits (
    day date NOT NULL,
    page text NOT NULL,
    visits integer NOT NULL CHECK (visits > 0),
    PRIMARY KEY (day, page)
);
