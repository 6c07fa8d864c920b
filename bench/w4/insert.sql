INSERT INTO one_row (body) VALUES (:body);
